/** The sandbox as a process of its own: it serves a large org while the test does something else, and at its own speed. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

interface Listening {
  url: string;
  clientId: string;
  clientSecret: string;
}

export interface SandboxProcess {
  readonly loginUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** A control of sandbox/salesforce/control.ts, such as `living`. */
  post(name: string, body: Record<string, unknown>): Promise<void>;
  /** Writes every row as one line of JSON. */
  writeTruth(object: string, path: string): Promise<void>;
  close(): Promise<void>;
}

export async function startSandboxProcess(...words: string[]): Promise<SandboxProcess> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', 'sandbox/main.ts', ...words],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  if (typeof value !== 'string') throw new Error('the sandbox ended before it listened');
  const { url, clientId, clientSecret }: Listening = JSON.parse(value);
  return {
    loginUrl: url,
    clientId,
    clientSecret,
    async post(name, body) {
      const answer = await fetch(`${url}/__sandbox/${name}`, { method: 'POST', body: JSON.stringify(body) });
      if (answer.status !== 200) throw new Error(await answer.text());
    },
    async writeTruth(object, path) {
      const { body } = await fetch(`${url}/__sandbox/truth?object=${object}`);
      if (body === null) throw new Error('the sandbox has no answer');
      await pipeline(Readable.fromWeb(body), createWriteStream(path));
    },
    async close() {
      const ended = once(child, 'exit');
      if (child.exitCode === null && child.kill('SIGKILL')) await ended;
    },
  };
}
