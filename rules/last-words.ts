import { HeadwaterError, isErrorCode } from './errors.ts';

/** One line that a program of Headwater writes to stderr before it ends; 2 where the configuration is at fault, else 1. */
export function lastWords(error: unknown): { text: string; exitCode: 1 | 2 } {
  if (!(error instanceof HeadwaterError))
    return { text: String(error instanceof Error ? error.stack : error), exitCode: 1 };
  const { code, message, remedy } = error;
  return { text: `${code} ${message} → ${remedy}`, exitCode: code === 'CONFIG_INVALID' ? 2 : 1 };
}

const REFUSAL = /^([A-Z_]+) (.+?) → (.+)$/;

/** Reads `lastWords` back out of a program's last lines: what it refused, or the line that names an error, or nothing. */
export function refusalIn(output: string): HeadwaterError | string | undefined {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  for (const line of lines.toReversed()) {
    const [, code = '', message = '', remedy = ''] = REFUSAL.exec(line) ?? [];
    if (isErrorCode(code)) return new HeadwaterError(code, message, { remedy });
  }
  return lines.findLast((line) => /^\S*Error\b.*:/.test(line)) ?? lines.at(-1);
}
