// The one version number: package.json, found upwards so that sources and build output read the same file.

import { existsSync, readFileSync } from 'node:fs'

function packageFile(): URL {
  const candidates = ['../package.json', '../../package.json'].map(path => new URL(path, import.meta.url))
  const found = candidates.find(url => existsSync(url))
  if (found === undefined) throw new Error('package.json is missing from this installation')
  return found
}

/** Version of this package, as in package.json. */
export const VERSION: string = (JSON.parse(readFileSync(packageFile(), 'utf8')) as { version: string }).version
