/** Where a configuration has its ledger, and its claims beside it; the address is a secret (I5). */
export type LedgerPlace =
  | { kind: 'sqlite'; path: string }
  | { kind: 'postgres'; url: string; schema: string };

/** A bucket of S3 or of what speaks its protocol. Without a login the SDK looks for one. */
export interface S3Place {
  kind: 's3';
  bucket: string;
  region: string;
  endpoint?: string | undefined;
  forcePathStyle: boolean;
  login?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
}

/** A bucket of Google Cloud Storage. `key`: that of a service account; without one, the login of the machine. */
export interface GcsPlace {
  kind: 'gcs';
  bucket: string;
  endpoint?: string | undefined;
  key?: Record<string, unknown> | undefined;
  /** No login at all: an emulator. */
  anonymous: boolean;
}

/**
 * Where a configuration has its stage. `path`: the folder itself, or where files of a bucket are on their way. `prefix` is empty or ends
 * with a slash. Logins are secrets (I5).
 */
export type StagePlace =
  | { kind: 'disk'; path: string }
  | ((S3Place | GcsPlace) & { path: string; prefix: string });
