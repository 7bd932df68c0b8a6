import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTemporalBinary } from '../../cli/dev/temporal-binary.ts';
import { startTemporalServer } from '../../cli/dev/temporal-server.ts';

export interface TestTemporal {
  address: string;
  namespace: string;
  uiUrl: string;
  /** What a worker or command under test needs to reach this server and no other. */
  env: NodeJS.ProcessEnv;
  /** Ends the server and deletes its folder. */
  stop(): Promise<void>;
}

let cliPath: Promise<string> | undefined;

/** The Temporal CLI, from the cache or installed into it once, for `existing-path` of the testing package too. */
export function temporalCliPath(): Promise<string> {
  cliPath ??= findTemporalBinary({ progress: (message) => process.stderr.write(`${message}\n`) }).then(
    ({ path }) => path,
  );
  return cliPath;
}

/**
 * A development server of its own on free ports, in a temporary folder, with the search attributes of
 * temporal-dev.yml. Call it in `beforeAll` with a generous timeout and `stop` in `afterAll`.
 */
export async function withTemporal(): Promise<TestTemporal> {
  const binaryPath = await temporalCliPath();
  const home = await mkdtemp(join(tmpdir(), 'headwater-temporal-'));
  const server = await startTemporalServer({ home, binaryPath, port: 0, uiPort: 0 });
  return {
    address: server.address,
    namespace: server.namespace,
    uiUrl: server.uiUrl,
    env: server.env,
    async stop() {
      await server.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}
