import { chmodSync, existsSync, unlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { z } from 'zod';
import { HeadwaterError } from '../rules/errors.ts';
import type { Warehouse } from '../warehouses/warehouse.ts';

/** A statement or a path; nothing that is asked here is longer. */
const BODY_BYTES_MAX = 1_000_000;
const ROWS_MAX = 100_000;

/** Absent: the main one. */
const checkSchema = z.object({ warehouse: z.string().optional() });
const requestSchema = z.object({
  sql: z.string(),
  rowsMax: z.number().int().positive().max(ROWS_MAX).default(1_000),
  path: z.string().optional(),
});

/** What the worker has open. */
export interface Controlled {
  warehouse: Warehouse;
  copies?: readonly { sink: string; open(): Promise<Warehouse> }[] | undefined;
}

/**
 * While a worker owns the warehouse's file nobody else can open it, so the command line asks the worker: over a Unix socket
 * that only this user may use, never through Temporal, whose history must not hold rows (I5).
 */
export async function serveControl(path: string, controlled: Controlled): Promise<Server> {
  if (existsSync(path)) unlinkSync(path);
  const server = createServer((request, response) => {
    answer(request, controlled).then(
      (body) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      (error: unknown) => {
        const known =
          error instanceof HeadwaterError ? error : new HeadwaterError('INTERNAL', 'the worker failed');
        response
          .writeHead(known.code === 'INTERNAL' ? 500 : 400, { 'content-type': 'application/json' })
          .end(JSON.stringify({ code: known.code, message: known.message, remedy: known.remedy }));
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return server;
}

async function answer(request: IncomingMessage, { warehouse, copies }: Controlled): Promise<unknown> {
  const asked: unknown = JSON.parse(await text(request));
  if (request.url === '/check') {
    const { warehouse: name } = checkSchema.parse(asked);
    if (name === undefined) return await warehouse.check();
    const copy = copies?.find(({ sink }) => sink === name);
    if (copy === undefined)
      throw new HeadwaterError('INPUT_INVALID', `the worker runs without the warehouse ${name}`, {
        remedy: 'Restart the worker: its configuration is older than this one.',
      });
    return await (await copy.open()).check();
  }
  const parsed = requestSchema.safeParse(asked);
  if (!parsed.success) throw new HeadwaterError('INPUT_INVALID', 'a statement is needed');
  const body = parsed.data;
  if (request.url === '/sql') {
    return warehouse.query(body.sql, body.rowsMax);
  }
  if (request.url === '/export' && body.path !== undefined) {
    return { rows: await warehouse.export(body.sql, body.path) };
  }
  throw new HeadwaterError('INPUT_INVALID', `the worker does not answer ${request.url ?? ''}`);
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX)
      throw new HeadwaterError('INPUT_INVALID', `a request has at most ${BODY_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
