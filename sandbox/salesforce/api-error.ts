/** An error as Salesforce answers it: an HTTP status and a list of one {message, errorCode}. */
export class ApiError extends Error {
  readonly status: number;
  readonly errorCode: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fields: readonly string[];

  constructor(
    status: number,
    errorCode: string,
    message: string,
    headers: Readonly<Record<string, string>> = {},
    fields: readonly string[] = [],
  ) {
    super(message);
    this.status = status;
    this.errorCode = errorCode;
    this.headers = headers;
    this.fields = fields;
  }

  body(): string {
    const { message, errorCode, fields } = this;
    return JSON.stringify([{ message, errorCode, ...(fields.length === 0 ? {} : { fields }) }]);
  }
}

export const malformed = (message: string): ApiError => new ApiError(400, 'MALFORMED_QUERY', message);
export const invalidField = (message: string): ApiError => new ApiError(400, 'INVALID_FIELD', message);
export const notFound = (message = 'The requested resource does not exist'): ApiError =>
  new ApiError(404, 'NOT_FOUND', message);
