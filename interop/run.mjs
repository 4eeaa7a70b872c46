// `npm run interop -- [PEER…]`: Picomesh with agents that nobody here wrote, each in a process of its own.
// A peer is a folder with a module of the same name that exports `suite` and `flags`.

import * as credo from './credo/credo.mjs'
import { main } from './report.mjs'

await main([{ name: 'credo', ...credo }], process.argv.slice(2))
