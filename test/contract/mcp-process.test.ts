/** Who gets as far as the tools: the endpoint `/mcp`, and the process `headwater mcp`. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectFailure, MAIN, startMcpHome, type McpHome } from '../support/mcp.ts';
import { record } from '../support/profile-api.ts';

const ANN = { email: 'ann@example.org', jobTitle: 'Engineer' };
const ORIGIN = { origin: 'http://evil.example' };
const RPC = { jsonrpc: '2.0', id: 1, method: 'tools/list' };

let home: McpHome;
let ann: string;

beforeAll(async () => {
  home = await startMcpHome();
  await home.apply(record('contact', 'Contact', 'ann', ANN, Date.now()));
  ann = await home.idOf('Contact', 'ann');
}, 60_000);
afterAll(async () => await home.close());

describe('the endpoint', () => {
  test('a key of other entities sees none of this one', async () => {
    const call = async (name: string, input: Record<string, unknown>) =>
      await home.call('http', 'orders', name, input);
    const hidden = /may not see profiles of contact/;
    expectFailure(await call('read_profile', { profile_id: ann }), hidden);
    expectFailure(await call('list_related', { profile_id: ann }), hidden);
    expect((await call('find_customer', { email: ANN.email })).data.matches).toEqual([]);
    const asks = { profile_id: ann, fields: { jobTitle: 'Smith' }, reason: 'asked' };
    expectFailure(await call('propose_change', asks), hidden);
    const { data } = await home.call('http', 'allowed', 'propose_change', asks);
    expectFailure(await call('change_state', { change_id: data.change.change_id }), hidden);
  });

  test('wants a key of scope read, no page of a browser, and one message in a request', async () => {
    const status = async (key: string, body: unknown, headers = {}) =>
      (await home.send('POST', '/mcp', key, body, headers)).status;
    expect(await status('reader', RPC)).toBe(200);
    expect(await status('', RPC)).toBe(401);
    expect(await status('ingest', RPC)).toBe(403);
    expect(await status('reader', RPC, ORIGIN)).toBe(403);
    expect(await status('reader', RPC, { origin: 'null' })).toBe(403);
    expect(await status('reader', [RPC, { ...RPC, id: 2 }])).toBe(400);
    expect(await status('reader', { hello: 'world' })).toBe(400);
    expect(await status('reader', RPC, { 'mcp-protocol-version': '1999-01-01' })).toBe(400);
    expect(await status('reader', RPC, { accept: 'text/plain' })).toBe(406);
    for (const method of ['GET', 'DELETE']) {
      const answer = await home.send(method, '/mcp', 'reader');
      expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
    }
  });
});

describe('the process', () => {
  async function run(key: string, input: string, words: string[] = []) {
    const env = { ...home.environment(key) };
    if (key === '') delete env['HEADWATER_KEY'];
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', MAIN, '--config', home.config, ...words],
      { env, stdio: ['pipe', 'pipe', 'pipe'] },
    );
    const all = async (stream: Readable) => {
      let text = '';
      for await (const part of stream.setEncoding('utf8')) text += part;
      return text;
    };
    const [out, err] = [all(child.stdout), all(child.stderr)];
    child.stdin.on('error', () => undefined).end(input);
    const code = await new Promise((resolve) => child.once('exit', resolve));
    return { code, out: await out, err: await err };
  }

  test('answers what it was asked before stdin closed, and writes the protocol alone', async () => {
    const clientInfo = { name: 'raw', version: '1' };
    const messages = [
      {
        ...{ jsonrpc: '2.0', id: 1, method: 'initialize' },
        params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo },
      },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      {
        ...{ jsonrpc: '2.0', id: 2, method: 'tools/call' },
        params: { name: 'read_profile', arguments: { profile_id: ann } },
      },
    ];
    const lines = [...messages.map((one) => JSON.stringify(one)), 'no protocol at all', ''].join('\n');
    const { code, out } = await run('reader', lines);
    const said = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(said.map(({ jsonrpc, id }) => [jsonrpc, id])).toEqual([
      ['2.0', 1],
      ['2.0', 2],
    ]);
    expect(JSON.stringify(said[1])).toContain(ann);
    expect(code).toBe(0);
  });

  test('a key that is missing, unknown or lacks the scope ends it with one line', async () => {
    for (const [key, words, pattern] of [
      ['', [], /^SECRET_MISSING environment variable HEADWATER_KEY is not set/],
      ['', ['--key-file', home.config], /^CONFIG_INVALID mcp: no key of serve\.keys/],
      ['ingest', [], /^CONFIG_INVALID mcp: this key lacks the scope read/],
    ] as const) {
      const { code, out, err } = await run(key, '', [...words]);
      expect(err).toMatch(pattern);
      expect([code === 0, out, err.trimEnd().split('\n').length]).toEqual([false, '', 1]);
    }
  });

  test('I5: no value and no key is in a log', async () => {
    await sleep(1_100);
    const file = await readFile(join(home.home, 'logs', 'mcp.ndjson'), 'utf8');
    const served = home.log.join('\n');
    expect(file).toContain('mcp read_profile ok');
    expect(served).toContain('/mcp 200 orders find_customer ok');
    expect(file + served).not.toMatch(/example\.org|Engineer|Smith|hw_/);
  });
});
