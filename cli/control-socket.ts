import { request } from 'node:http';
import { join } from 'node:path';
import { z } from 'zod';
import { HeadwaterError, isErrorCode } from '../rules/errors.ts';

const ANSWER_BYTES_MAX = 500_000_000;
/** Nobody listens at the path: no worker, or one that was killed. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED']);

const refusalSchema = z.object({ code: z.string(), message: z.string(), remedy: z.string().optional() });

/**
 * Asks the worker that owns the warehouse, over its Unix socket in the home. Undefined when no worker listens there;
 * the worker's own refusals become HeadwaterErrors again.
 */
export async function askWorker(
  home: string,
  path: '/sql' | '/export' | '/check',
  body: unknown,
): Promise<unknown> {
  const answer = await post(join(home, 'worker.sock'), path, JSON.stringify(body));
  if (answer === undefined) return undefined;
  const parsed: unknown = JSON.parse(answer.text);
  if (answer.status === 200) return parsed;
  const refusal = refusalSchema.safeParse(parsed).data;
  const code = refusal !== undefined && isErrorCode(refusal.code) ? refusal.code : 'INTERNAL';
  throw new HeadwaterError(code, refusal?.message ?? 'the worker refused', {
    ...(refusal?.remedy === undefined ? {} : { remedy: refusal.remedy }),
  });
}

function post(
  socketPath: string,
  path: string,
  body: string,
): Promise<{ status: number; text: string } | undefined> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        socketPath,
        path,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > ANSWER_BYTES_MAX) call.destroy(new Error('the answer is too large'));
          chunks.push(chunk);
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
        );
        response.on('error', reject);
      },
    );
    call.on('error', (error: NodeJS.ErrnoException) => {
      if (NOBODY.has(error.code ?? '')) resolve(undefined);
      else reject(error);
    });
    call.end(body);
  });
}
