/** An error as HubSpot answers it: a status and one object with message, correlation id and category. */
import { randomUUID } from 'node:crypto';

export class HubError extends Error {
  readonly status: number;
  readonly category: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly more: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    category: string,
    message: string,
    more: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = status;
    this.category = category;
    this.more = more;
    this.headers = headers;
  }

  body(): string {
    return JSON.stringify({
      status: 'error',
      message: this.message,
      correlationId: randomUUID(),
      ...(this.category === '' ? {} : { category: this.category }),
      ...this.more,
    });
  }
}

export const invalid = (message: string, more: Readonly<Record<string, unknown>> = {}): HubError =>
  new HubError(400, 'VALIDATION_ERROR', message, more);
export const notFound = (message = 'resource not found'): HubError =>
  new HubError(404, 'OBJECT_NOT_FOUND', message);
export const conflict = (message: string): HubError => new HubError(409, 'CONFLICT', message);
