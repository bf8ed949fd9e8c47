/**
 * Properties: on CI with the same cases in every run, so that what fails there is the change and not chance; elsewhere with others
 * each time, which is where new ones are found.
 */
import fc from 'fast-check'

if (process.env['CI'] === 'true') fc.configureGlobal({ seed: 20_261_122 })

export { fc }
