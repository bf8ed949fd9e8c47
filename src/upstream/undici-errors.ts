/** The errors of undici without the client: our own throws them too, and the client alone takes 60 ms of a start and 5 MB. */
export { default as errors } from 'undici/lib/core/errors.js'
