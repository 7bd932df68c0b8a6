import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

/** What temporal-dev.yml says about the Temporal server; the launcher replaces addresses, ports and the file. */
export interface TemporalService {
  /** The arguments of the `temporal` command, `server start-dev …`, one `--flag=value` each. */
  args: string[];
  namespace: string;
  port: number;
  uiPort: number;
  /** Search attribute → its Temporal type, in the order of the file. */
  searchAttributes: Record<string, string>;
  retentionDays: number;
  /** The arguments of the `temporal` command that set the retention. */
  retentionArgs: string[];
}

export const TEMPORAL_DEV_FILE = fileURLToPath(new URL('../../temporal-dev.yml', import.meta.url));

/** Reads temporal-dev.yml; throws one line that names the file and the missing part. */
export function readTemporalService(path: string = TEMPORAL_DEV_FILE): TemporalService {
  const services = record(record(parse(readFileSync(path, 'utf8')), path)['services'], `${path}: services`);
  const args = command(services, 'temporal', path);
  if (args[0] !== 'server' || args[1] !== 'start-dev') {
    throw new Error(`${path}: the command of the service temporal must begin with "server start-dev"`);
  }
  const retentionArgs = command(services, 'temporal-retention', path);
  const retention = single(retentionArgs, '--retention', path);
  return {
    args,
    namespace: single(args, '--namespace', path),
    port: positiveInteger(single(args, '--port', path), `${path}: --port`),
    uiPort: positiveInteger(single(args, '--ui-port', path), `${path}: --ui-port`),
    searchAttributes: Object.fromEntries(
      values(args, '--search-attribute').map((pair) => {
        const [name, type] = pair.split('=');
        if (!name || !type) throw new Error(`${path}: --search-attribute=${pair} is not NAME=TYPE`);
        return [name, type];
      }),
    ),
    retentionDays: positiveInteger(
      retention.replace(/d$/, ''),
      `${path}: --retention (in days, such as 30d)`,
    ),
    retentionArgs,
  };
}

/** Sets `--flag=value` for each entry: replaces the flag where it stands, else appends it. */
export function withFlags(args: readonly string[], flags: Record<string, string>): string[] {
  const kept = args.filter((arg) => !Object.keys(flags).some((flag) => arg.startsWith(`${flag}=`)));
  return [...kept, ...Object.entries(flags).map(([flag, value]) => `${flag}=${value}`)];
}

function command(services: Record<string, unknown>, service: string, path: string): string[] {
  const args = record(services[service], `${path}: services.${service}`)['command'];
  if (!Array.isArray(args) || !args.every((arg) => typeof arg === 'string')) {
    throw new Error(`${path}: services.${service}.command must be a list of strings`);
  }
  return args;
}

function values(args: readonly string[], flag: string): string[] {
  return args.filter((arg) => arg.startsWith(`${flag}=`)).map((arg) => arg.slice(flag.length + 1));
}

function single(args: readonly string[], flag: string, path: string): string {
  const [value] = values(args, flag);
  if (value === undefined || value === '') throw new Error(`${path}: ${flag}=… is missing`);
  return value;
}

function positiveInteger(text: string, what: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value <= 0) throw new Error(`${what}: "${text}" is not a positive integer`);
  return value;
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${what} is missing or not a mapping`);
  }
  return Object.fromEntries(Object.entries(value));
}
