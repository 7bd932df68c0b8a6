import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { askWorker } from '../../../cli/control-socket.ts';

let home: string;
let server: Server | undefined;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'home-'));
});
afterEach(() => {
  server?.close();
  server = undefined;
  rmSync(home, { recursive: true });
});

async function serve(status: number, body: unknown): Promise<string[]> {
  const asked: string[] = [];
  const listening = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => asked.push(`${request.url ?? ''} ${chunk.toString()}`));
    request.on('end', () => response.writeHead(status).end(JSON.stringify(body)));
  });
  server = listening;
  await new Promise<void>((resolve) => {
    listening.listen(join(home, 'worker.sock'), resolve);
  });
  return asked;
}

test('the worker answers', async () => {
  const asked = await serve(200, { rows: 3 });
  expect(await askWorker(home, '/sql', { sql: 'select 1' })).toEqual({ rows: 3 });
  expect(asked).toEqual(['/sql {"sql":"select 1"}']);
});

test('its refusal is ours', async () => {
  await serve(400, { code: 'WAREHOUSE_REJECTED', message: 'no such table', remedy: 'look' });
  await expect(askWorker(home, '/sql', {})).rejects.toMatchObject({
    code: 'WAREHOUSE_REJECTED',
    message: 'no such table',
    remedy: 'look',
  });
});

test('no worker, and the socket of a dead one, are no answer', async () => {
  expect(await askWorker(home, '/sql', {})).toBeUndefined();
  const { spawnSync } = await import('node:child_process');
  const leave = `require('net').createServer().listen(${JSON.stringify(join(home, 'worker.sock'))}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', leave]);
  expect(await askWorker(home, '/sql', {})).toBeUndefined();
});
