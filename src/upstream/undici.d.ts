/** The file of undici that `undici-errors.ts` takes. */

declare module 'undici/lib/core/errors.js' {
  import { errors } from 'undici'
  export default errors
}
