/** Headwater's own command line as an operator types it, against the installation of a pipeline. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Pipeline } from './pipeline.ts';

const BIN = join(import.meta.dirname, '..', '..', 'bin', 'headwater.js');

export interface Told {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Takes a line such as `npx headwater sync crm`, so that what the product prints can be handed on as it is. */
export async function headwater(pipeline: Pipeline, line: string): Promise<Told> {
  const words = line.replace(/^npx headwater /, '').split(' ');
  const child = spawn(process.execPath, [BIN, ...words, '--config', pipeline.loaded.path], {
    env: { ...process.env, ...pipeline.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const told = { stdout: '', stderr: '' };
  child.stdout.on('data', (part: Buffer) => (told.stdout += part.toString('utf8')));
  child.stderr.on('data', (part: Buffer) => (told.stderr += part.toString('utf8')));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, ...told };
}
