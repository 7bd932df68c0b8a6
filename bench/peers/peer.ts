import type { Checksum } from '../contact.ts';
import type { Stand } from '../stand.ts';

/** Another tool that moves the same Contacts into a DuckDB file. */
export interface Peer {
  /** With its version. */
  name: string;
  kind: 'connector' | 'loader';
  /** What it was known to take for 200,000 rows on a like machine, for when it cannot run here; s. */
  knownS: number | null;
  /** Installs it; throws when that is not possible. */
  prepare(): Promise<void>;
  /** One full load into an empty database; verified by the caller. */
  load(stand: Stand, folder: string): Promise<PeerLoad>;
}

export interface PeerLoad {
  ms: number;
  landed: Checksum;
  /** False: amounts became doubles and are left out of the checksum. */
  exact: boolean;
}
