// The published vectors of envelopes, signed attachments and the semantic attacks, at the level of the wallet.

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { runAttachmentJws, runSemantic, runSequences, runV1Envelope, runV2 } from '../vectors-run/envelope.ts'
import { cryptoNoble } from './crypto-noble.ts'

const folder = new URL('../vectors/', import.meta.url)
const read = (path: string) => JSON.parse(readFileSync(new URL(path, folder), 'utf8'))
const filesOf = (family: string) => readdirSync(new URL(`${family}/`, folder)).map(name => `${family}/${name}`)

describe('vectors', () => {
  test.each(filesOf('didcomm-v1-envelope'))('%s', path => {
    const { passed, failed, skipped } = runV1Envelope(read(path))
    expect(failed).toEqual([])
    expect(skipped).toEqual([])
    expect(passed.length).toBeGreaterThan(0)
  })

  test.each(filesOf('didcomm-v2'))('%s', path => {
    const { passed, failed, skipped } = runV2(read(path))
    expect(failed).toEqual([])
    expect(skipped.every(({ why }) => /not supported|since 2\.1/.test(why))).toBe(true)
    expect(passed.length).toBeGreaterThan(0)
  })

  test('security/attachment-jws.json', () => {
    const { failed, skipped } = runAttachmentJws(read('security/attachment-jws.json'))
    expect({ failed, skipped }).toEqual({ failed: [], skipped: [] })
  })

  test.each(['security/didcomm-v1-semantic.json', 'security/didcomm-v2-semantic.json'])('%s', path => {
    const { failed, skipped } = runSemantic(read(path))
    expect({ failed, skipped }).toEqual({ failed: [], skipped: [] })
  })

  test('security/didcomm-v2-sequences.json', () => {
    expect(runSequences(read('security/didcomm-v2-sequences.json')).failed).toEqual([])
  })

  test('the same with @noble primitives', () => {
    expect(runV1Envelope(read('didcomm-v1-envelope/generated-by-acapy-0.12.8.json'), cryptoNoble).failed).toEqual([])
    expect(runSemantic(read('security/didcomm-v1-semantic.json'), cryptoNoble).failed).toEqual([])
    expect(runSemantic(read('security/didcomm-v2-semantic.json'), cryptoNoble).failed).toEqual([])
  })
})
