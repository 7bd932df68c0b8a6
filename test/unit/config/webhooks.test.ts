import { describe, expect, test } from '@jest/globals';
import { webhookConfig } from '../../../config/connection-config.ts';
import { z } from 'zod';
import { parseConfig, type Kinds, type SourceKind } from '../../../config/parse-config.ts';
import { KINDS, valid } from './kinds.ts';

/** Can only be read. */
const SILENT: SourceKind = { config: z.looseObject({}), capabilities: { lagMs: 0, lookbackMs: 0 } };

function parsed(webhooks: unknown, kind = 'crm') {
  const kinds: Kinds = { ...KINDS, sources: { ...KINDS.sources, file: SILENT } };
  const input = valid();
  const acme =
    kind === 'crm'
      ? Object.assign({}, ...Object.values(input['connections'] ?? {}))
      : { kind, objects: 'all' };
  const connections = { acme: { ...acme, webhooks } };
  return parseConfig({ ...input, connections }, { file: 'f.ts', home: '/home', kinds });
}
const lines = (webhooks: unknown, kind?: string) => {
  const result = parsed(webhooks, kind);
  return result.ok ? [] : result.lines;
};
const secret = { $secret: { env: 'HOOK' } };

describe('webhooks of a connection', () => {
  test('have defaults, keys of their kind, and secrets relative to the home', () => {
    const result = parsed({ secrets: [secret, { $secret: { file: 'hook' } }], account: 5 });
    if (!result.ok) throw new Error(result.lines.join('\n'));
    const { acme } = result.config.connections;
    expect(acme?.webhooks).toMatchObject({ perSecond: 1_000, burst: 2_000, landEvery: 5_000, account: 5 });
    expect(acme?.webhooks?.secrets).toEqual([secret, { $secret: { file: '/home/hook' } }]);
    expect(acme?.source).not.toHaveProperty('webhooks');
  });

  test.each<[string, unknown, string | undefined, string]>([
    [
      'a key that is misspelt',
      { secrets: [secret], acount: 5 },
      undefined,
      'acount: is unknown. Did you mean account?',
    ],
    [
      'one of ours that is misspelt',
      { secrets: [secret], perSecnd: 5 },
      undefined,
      'perSecnd: is unknown. Did you mean perSecond?',
    ],
    [
      'a value that does not fit',
      { secrets: [secret], account: 'x' },
      undefined,
      'account: "x" is not possible here. Write a number.',
    ],
    ['no secret', { secrets: [] }, undefined, 'secrets: The value is not possible here: names no secret.'],
    ['a kind that pushes nothing', {}, 'file', 'file pushes nothing. Remove it.'],
  ])('%s', (_name, webhooks, kind, line) => {
    expect(lines(webhooks, kind)).toEqual([expect.stringContaining(`f.ts: connections.acme.webhooks`)]);
    expect(lines(webhooks, kind)[0]).toContain(line);
  });

  test('I5: a secret that was written down is no part of the mistake', () => {
    expect(lines({ secrets: ['lavender-4711'] }).join('\n')).toContain('secrets[0]');
    expect(lines({ secrets: ['lavender-4711'] }).join('\n')).not.toContain('lavender');
  });

  test('are resolved for their receiver only, with what it knows and nothing else', () => {
    const result = parsed({ secrets: [secret], account: 5 });
    if (!result.ok) throw new Error(result.lines.join('\n'));
    const { acme } = result.config.connections;
    const kind = KINDS.sources['crm']?.webhooks;
    if (acme === undefined || kind === undefined) throw new Error('no connection');
    expect(webhookConfig(kind, acme, { HOOK: 'x' })).toEqual({ secrets: ['x'], account: 5 });
    expect(() => webhookConfig(kind, acme, {})).toThrow(expect.objectContaining({ code: 'SECRET_MISSING' }));
  });
});
