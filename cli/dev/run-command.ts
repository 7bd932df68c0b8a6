import { execFile } from 'node:child_process';

const OUTPUT_BYTES_MAX = 1024 * 1024;
const QUOTED_LINES_MAX = 3;

/** Runs a command to its end and returns its standard output; an error quotes its last lines. */
export function run(
  command: string,
  args: readonly string[],
  options: { timeoutMs: number; env?: NodeJS.ProcessEnv },
): Promise<string> {
  const { timeoutMs, env = process.env } = options;
  return new Promise((resolve, reject) => {
    execFile(
      command,
      args,
      { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: OUTPUT_BYTES_MAX, encoding: 'utf8', env },
      (error, stdout, stderr) => {
        if (error) reject(new Error(reason(command, error, stderr || stdout, timeoutMs), { cause: error }));
        else resolve(stdout);
      },
    );
  });
}

function reason(
  command: string,
  error: { code?: number | string | null; killed?: boolean | undefined },
  output: string,
  timeoutMs: number,
): string {
  if (error.code === 'ENOENT') return `there is no ${command} on this machine`;
  const lines = output.trim().split('\n').slice(-QUOTED_LINES_MAX).join(' | ');
  const how = error.killed
    ? `did not end within ${timeoutMs / 1000} s`
    : `ended with ${error.code ?? 'a signal'}`;
  return `${command} ${how}${lines ? `: ${lines}` : ''}`;
}
