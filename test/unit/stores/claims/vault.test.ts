import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { canonicalJson } from '../../../../rules/golden/canonical.ts';
import type { ClaimValue } from '../../../../schemas/observation.ts';
import { contentOf, parseContent } from '../../../../stores/claims/engine/content.ts';
import { KeyedHash, Salts, Vault } from '../../../../stores/claims/vault.ts';
import { seen } from '../../../contract/claims-fixture.ts';

const master = Buffer.alloc(32, 1);

test('the keyed hash is HMAC-SHA-256, for texts of any length', () => {
  const key = randomBytes(32);
  const keyed = new KeyedHash(key);
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.nat(100_000).map((length) => 'ü'.repeat(length)),
  );
  fc.assert(
    fc.property(texts, (text) => {
      expect(keyed.hex(text)).toBe(createHmac('sha256', key).update(text, 'utf8').digest('hex'));
    }),
    { numRuns: 50 },
  );
});

describe('vault', () => {
  const vault = new Vault(master);
  const key = vault.recordKey('ab'.repeat(16));

  test('opens what it sealed, under this key and for this event only', () => {
    const text = '{"name":"Zoë"}';
    const id = vault.observationId(text);
    const sealed = vault.seal(key, text, id);
    expect(vault.open(key, sealed, id)).toBe(text);
    expect(() => vault.open(key, sealed, vault.observationId('another'))).toThrow(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
    expect(() => vault.open(vault.recordKey('cd'.repeat(16)), sealed, id)).toThrow('not what was written');
  });

  test('another text never has the nonce of this one', () => {
    const [one, other] = ['{"a":1}', '{"a":2}'].map((text) => {
      const id = vault.observationId(text);
      return { id: id.slice(0, 16), stream: vault.seal(key, text, id).subarray(16) };
    });
    expect(one?.id).not.toBe(other?.id);
    // Under one nonce only the byte that differs would be another one.
    const equal = [...(one?.stream ?? [])].filter((byte, index) => byte === other?.stream[index]);
    expect(equal.length).toBeLessThan(6);
  });

  test('public ids are a permutation that tells no number', () => {
    const ids = Array.from({ length: 1_000 }, (_, index) => vault.publicId(index + 1));
    expect(new Set(ids).size).toBe(1_000);
    expect(ids.every((id) => /^p_[0-9a-f]{32}$/.test(id))).toBe(true);
    expect(ids.map((id) => vault.privateId(id))).toEqual(ids.map((_, index) => index + 1));
    expect(vault.privateId(`p_${'0'.repeat(32)}`)).toBeNull();
    expect(vault.privateId('p_1')).toBeNull();
    expect(new Vault(Buffer.alloc(32, 2)).privateId(ids[0] ?? '')).toBeNull();
  });

  test('a key of another length is refused', () => {
    expect(() => new Vault(Buffer.alloc(31))).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});

test('every salt is another one', () => {
  const salts = new Salts();
  const all = Array.from({ length: 600 }, () => salts.next());
  expect(new Set(all).size).toBe(600);
  expect(all.every((salt) => salt.length === 32)).toBe(true);
});

test('content is one text for one content, and holds all of it', () => {
  const value: fc.Arbitrary<ClaimValue> = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(fc.string()),
    fc.dictionary(fc.string(), fc.integer()),
  );
  const fields = fc.dictionary(
    fc.oneof(fc.string(), fc.constantFrom('1', '10', 'b', 'a', '__proto__')),
    value,
  );
  fc.assert(
    fc.property(fields, fc.boolean(), (given, reverse) => {
      const entries = Object.entries(given);
      const again = Object.fromEntries(reverse ? entries.toReversed() : entries);
      const text = contentOf(seen('a', '1', 1, again));
      expect(text).toBe(contentOf(seen('a', '1', 1, given)));
      expect(canonicalJson(parseContent(text).f)).toBe(canonicalJson(given));
      expect(text.startsWith(`{"f":${canonicalJson(given)},`)).toBe(true);
    }),
  );
});
