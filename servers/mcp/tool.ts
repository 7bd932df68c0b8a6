import type { z } from 'zod';
import type { ChangeRuns } from '../changes/runs.ts';
import type { ApiKey } from '../keys.ts';
import { parsed } from '../profiles/requests.ts';
import type { ProfileService } from '../profiles/service.ts';
import type { Services } from '../services.ts';

/** What tools work with: the same services as the routes of the HTTP API. */
export interface Desk {
  services: Services;
  profiles: ProfileService;
  runs: Pick<ChangeRuns, 'begin'>;
}

export interface Said {
  /** Fits the tool's output schema. */
  structured: Record<string, unknown>;
  /** For assistants that read text alone. */
  text: string;
}

export interface Tool {
  name: string;
  title: string;
  description: string;
  input: z.ZodType;
  output: z.ZodType;
  /** It only reads; otherwise it may change a profile. */
  readOnly: boolean;
  /** What to do about an id or a name that nobody knows. */
  unknown: string;
  /** Problems of the API. `given` is checked here. */
  run(desk: Desk, key: ApiKey, given: unknown): Promise<Said>;
}

interface Written<Input extends z.ZodType, Output extends Record<string, unknown>> extends Omit<
  Tool,
  'input' | 'output' | 'run'
> {
  input: Input;
  output: z.ZodType<Output>;
  run(desk: Desk, key: ApiKey, input: z.output<Input>): Promise<Output>;
  say(output: Output, input: z.output<Input>): string;
}

/** Checks what is given as the routes do: a mistake names the place, never the value (I5). */
export function tool<Input extends z.ZodType, Output extends Record<string, unknown>>(
  written: Written<Input, Output>,
): Tool {
  return {
    ...written,
    async run(desk, key, given) {
      const input = parsed(written.input, given);
      const structured = await written.run(desk, key, input);
      return { structured, text: written.say(structured, input) };
    },
  };
}
