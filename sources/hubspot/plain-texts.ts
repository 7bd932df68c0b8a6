/** Where an operator reads a text that Headwater does not repeat. */
export const READ_IN = 'HubSpot, under Development, Monitoring, Logs';

/**
 * I5: categories whose text is about scopes, limits or log-in and cannot quote a record (HubSpot's guide "Error handling").
 * VALIDATION_ERROR is not one of them: it repeats the values that it refuses.
 */
export const PLAIN_CATEGORIES: ReadonlySet<string> = new Set([
  ...['BANNED', 'EXPIRED_AUTHENTICATION', 'INVALID_AUTHENTICATION', 'MISSING_SCOPES'],
  ...['RATE_LIMIT', 'RATE_LIMITS', 'METHOD_NOT_ALLOWED'],
]);
