// Which addresses of the network an engine may connect to on behalf of a ruleset or a peer: never loopback, private or
// link-local ones unless the owner named them, or the whole engine lives on loopback. Checked on the address that is
// connected to, after resolution (RFC 1918, 4193, 6598, 6890; embedded IPv4 forms: RFC 4291 2.5.5, 6052, 3056).

import { BlockList, isIP } from 'node:net'

/** What this engine may reach. */
export interface Reach {
  /** Listener and base URL are loopback ones. */
  readonly loopback: boolean
  readonly allowed: Allowed
}

export interface Allowed {
  readonly hosts: ReadonlySet<string>
  readonly blocks: BlockList
  /** The first entry that is neither; the list is refused then. */
  readonly wrong?: string
}

const LOOPBACK = blockList([
  ['127.0.0.0', 8],
  ['::1', 128],
])

const CLOSED = blockList([
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['::', 128],
  ['::1', 128],
  ['64:ff9b:1::', 48],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
])

/** Entries of `PICOMESH_ALLOW_HOSTS`: host names, addresses, CIDR blocks. */
export function parseAllowed(entries: readonly string[]): Allowed {
  const hosts = new Set<string>()
  const blocks = new BlockList()
  for (const entry of entries) {
    const [address = '', bits] = entry.replace(/^\[|\]$/g, '').split('/')
    const family = isIP(address)
    const longest = family === 4 ? 32 : 128
    if (family !== 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= longest)))
      blocks.addSubnet(address, Number(bits ?? longest), family === 4 ? 'ipv4' : 'ipv6')
    else if (bits === undefined && /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/i.test(address))
      hosts.add(address.toLowerCase())
    else return { hosts, blocks, wrong: entry }
  }
  return { hosts, blocks }
}

/** May a socket to this address be opened for this host? `host` as the URL spells it, `address` as resolved. */
export function mayReach(reach: Reach, host: string, address: string): boolean {
  if (isIP(address) === 0) return false
  const plain = embedded(address) ?? address
  if (reach.allowed.hosts.has(host.toLowerCase().replace(/\.$/, ''))) return true
  if (within(reach.allowed.blocks, plain) || within(reach.allowed.blocks, address)) return true
  if (within(LOOPBACK, plain)) return reach.loopback
  return !within(CLOSED, plain)
}

function blockList(subnets: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList()
  for (const [address, bits] of subnets) list.addSubnet(address, bits, address.includes(':') ? 'ipv6' : 'ipv4')
  return list
}

function within(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
}

/** The IPv4 address inside a mapped, compatible, NAT64 or 6to4 one. */
function embedded(address: string): string | undefined {
  if (isIP(address) !== 6) return undefined
  const groups = ipv6Groups(address)
  const zero = (from: number, to: number) => groups.slice(from, to).every(group => group === 0)
  const dotted = (at: number) =>
    [groups[at]! >> 8, groups[at]! & 255, groups[at + 1]! >> 8, groups[at + 1]! & 255].join('.')
  if (zero(0, 5) && groups[5] === 0xffff) return dotted(6)
  if (zero(0, 4) && groups[4] === 0xffff && groups[5] === 0) return dotted(6)
  if (zero(0, 6) && (groups[6] !== 0 || groups[7]! > 1)) return dotted(6)
  if (groups[0] === 0x64 && groups[1] === 0xff9b && zero(2, 6)) return dotted(6)
  if (groups[0] === 0x2002) return dotted(1)
  return undefined
}

/** Eight 16-bit groups; URL parsing gives the one canonical spelling (WHATWG URL, "IPv6 serializer"). */
function ipv6Groups(address: string): number[] {
  const canonical = new URL(`http://[${address.replace(/%.*$/, '')}]/`).hostname.slice(1, -1)
  const [head = '', tail] = canonical.split('::')
  const numbers = (text: string) =>
    text
      .split(':')
      .filter(Boolean)
      .map(group => Number.parseInt(group, 16))
  if (tail === undefined) return numbers(head)
  const [left, right] = [numbers(head), numbers(tail)]
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right]
}
