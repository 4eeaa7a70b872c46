// `npm run build`: packages if needed, then a whole build.

import { build, install, requireNode } from './setup.mjs'

requireNode()
install()
build()
