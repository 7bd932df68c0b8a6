import { connectionNamed } from '../config/connection-config.ts';
import type { Config, ConnectionConfig } from '../config/schema.ts';
import { HeadwaterError, type Names } from '../rules/errors.ts';
import type { Call } from './command.ts';
import { nearest } from '../config/nearest.ts';

/** The connection that a command line names, or all. */
export function chosenConnections(config: Config, name: string | undefined): ConnectionConfig[] {
  return name === undefined ? Object.values(config.connections) : [connectionNamed(config, name)];
}

/** The connection that a command line names; with one connection the name may be left out. */
export function oneConnection(config: Config, name: string | undefined): ConnectionConfig {
  if (name !== undefined) return connectionNamed(config, name);
  const [only, ...others] = Object.values(config.connections);
  if (only && others.length === 0) return only;
  throw new HeadwaterError('INPUT_INVALID', 'a connection must be named', {
    remedy: `The configuration has: ${Object.keys(config.connections).join(', ') || 'none'}.`,
  });
}

/** What a command line means, for the commands in a remedy; never throws. */
export async function chosenNames(call: Call): Promise<Names> {
  try {
    const { connections } = (await call.load()).config;
    const [target = '', second] = call.arguments;
    const [name = '', object = second] = target.split('/');
    const [only, ...others] = Object.keys(connections);
    const connection = Object.hasOwn(connections, name) ? name : others.length === 0 ? only : undefined;
    return { connection, object };
  } catch {
    return {};
  }
}

/** Named objects must be configured; 'all' is left to the source, which alone knows its objects. */
export function checkObjects({ name, objects, exclude }: ConnectionConfig, asked: readonly string[]): void {
  if (objects === 'all') return;
  const known = objects.filter((object) => !exclude.includes(object));
  const unknown = asked.find((object) => !known.includes(object));
  if (unknown === undefined) return;
  const guess = nearest(unknown, known);
  throw new HeadwaterError('INPUT_INVALID', `${name} does not sync ${unknown}`, {
    remedy: guess ? `Did you mean ${guess}?` : `It syncs: ${known.join(', ')}.`,
  });
}

/** One of several fixed words; INPUT_INVALID with the nearest. */
export function oneOf<const Word extends string>(what: string, given: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === given);
  if (found !== undefined) return found;
  const guess = nearest(given, words);
  throw new HeadwaterError('INPUT_INVALID', `${what} cannot be ${JSON.stringify(given)}`, {
    remedy: guess ? `Did you mean ${guess}?` : `Write ${words.join(' or ')}.`,
  });
}

/** A whole number within bounds. */
export function wholeNumber(
  what: string,
  given: string | undefined,
  limits: { min: number; max: number; or: number },
): number {
  if (given === undefined) return limits.or;
  const value = Number(given);
  if (/^\d+$/.test(given) && value >= limits.min && value <= limits.max) return value;
  throw new HeadwaterError('INPUT_INVALID', `${what} cannot be ${JSON.stringify(given)}`, {
    remedy: `Write a whole number from ${limits.min} to ${limits.max}.`,
  });
}
