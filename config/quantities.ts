import { z } from 'zod';
import { DURATION_UNITS_MS, parseDurationMs } from '../rules/time.ts';

export { parseDurationMs } from '../rules/time.ts';

const SIZE_UNITS_BYTES: Record<string, number> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/** `10GB`, `512MiB` in bytes; undefined when it is not a size. */
export function parseSizeBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s?([KMGT]?i?B)$/i.exec(text);
  const unit = SIZE_UNITS_BYTES[(match?.[2] ?? '').toUpperCase()];
  return match && unit !== undefined ? Math.round(Number(match[1]) * unit) : undefined;
}

/** `1.5 GiB`, in the largest unit of which there is one. */
export function formatBytes(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB']) {
    const unitBytes = SIZE_UNITS_BYTES[unit.toUpperCase()] ?? Infinity;
    if (bytes >= unitBytes) return `${(bytes / unitBytes).toFixed(1)} ${unit}`;
  }
  return `${bytes} B`;
}

/** The longest unit that divides it: `1h`, `90s`. */
export function formatDuration(ms: number): string {
  const fitting = Object.entries(DURATION_UNITS_MS).filter(([, unitMs]) => ms % unitMs === 0 && ms >= unitMs);
  const [unit, unitMs] = fitting.at(-1) ?? ['ms', 1];
  return ms === 0 ? '0s' : `${ms / unitMs}${unit}`;
}

/** A duration as text in the configuration, milliseconds afterwards. */
export function durationSchema(limits: { msMin?: number; msMax?: number } = {}) {
  return z.string().transform((text, context) => {
    const ms = parseDurationMs(text);
    const { msMin = 0, msMax = Number.MAX_SAFE_INTEGER } = limits;
    if (ms !== undefined && ms >= msMin && ms <= msMax) return ms;
    context.addIssue({
      code: 'custom',
      message:
        ms === undefined
          ? `${JSON.stringify(text)} is not a duration. Write for example '1h' or '15m'.`
          : ms < msMin
            ? `${JSON.stringify(text)} is too short. Write at least '${formatDuration(msMin)}'.`
            : `${JSON.stringify(text)} is too long. Write at most '${formatDuration(msMax)}'.`,
    });
    return z.NEVER;
  });
}

/** A size as text in the configuration, bytes afterwards. */
export function sizeSchema() {
  return z.string().transform((text, context) => {
    const bytes = parseSizeBytes(text);
    if (bytes !== undefined) return bytes;
    context.addIssue({
      code: 'custom',
      message: `${JSON.stringify(text)} is not a size. Write for example '10GB' or '512MB'.`,
    });
    return z.NEVER;
  });
}
