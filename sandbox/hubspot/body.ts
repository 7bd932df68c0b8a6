/** Reads the parts of a request's JSON, and refuses what has another shape. */
import { invalid } from './hub-error.ts';
import type { Filter } from './search-filter.ts';

export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function objectOf(value: unknown, name: string): Json {
  if (!isObject(value)) throw invalid(`Invalid input JSON: ${name} must be an object`);
  return value;
}

export function listOf(value: unknown, name: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid(`Invalid input JSON: ${name} must be a list`);
  return value;
}

/** Numbers and booleans are taken as text, as HubSpot takes them. */
export function textOf(value: unknown, name: string): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw invalid(`Invalid input JSON: ${name} must be a string`);
}

export const optionalText = (value: unknown, name: string): string | undefined =>
  value === undefined || value === null ? undefined : textOf(value, name);

export const textsOf = (value: unknown, name: string): readonly string[] =>
  listOf(value, name).map((one) => textOf(one, name));

/** The inputs of a batch, of which HubSpot takes only so many. */
export function inputsOf(body: Json, max: number): readonly Json[] {
  const inputs = listOf(body['inputs'], 'inputs');
  if (inputs.length === 0) throw invalid('Invalid input JSON: inputs must not be empty');
  if (inputs.length > max)
    throw invalid(`The maximum number of inputs supported is ${max}; ${inputs.length} were given.`);
  return inputs.map((one) => objectOf(one, 'inputs'));
}

export function filterOf(value: unknown): Filter {
  const given = objectOf(value, 'filters');
  const text = optionalText(given['value'], 'value');
  const highValue = optionalText(given['highValue'], 'highValue');
  return {
    propertyName: textOf(given['propertyName'], 'propertyName'),
    operator: textOf(given['operator'], 'operator'),
    ...(text === undefined ? {} : { value: text }),
    ...(highValue === undefined ? {} : { highValue }),
    ...(given['values'] === undefined || given['values'] === null
      ? {}
      : { values: textsOf(given['values'], 'values') }),
  };
}
