import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bundleWorkflowCode, type WorkflowBundle } from '@temporalio/worker';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Folders whose files can be part of workflow code. */
const FOLDERS = ['workflows', 'rules', 'schemas'];
const WRITE = '--write';
const BUNDLING_MS_MAX = 120_000;

/**
 * Bundling takes over a second of each start; the result is kept in this folder, which only this user may write, under the
 * hash of every source that can be in it and the SDK's version. A damaged or absent copy is simply made again, by a process
 * of its own: the bundler's 150 MB would else stay with the worker for ever.
 */
export async function workflowBundle(folder: string): Promise<WorkflowBundle> {
  const path = join(folder, `workflows-${sourcesHash()}.js`);
  if (!existsSync(path)) {
    const options = ['--disable-warning=ExperimentalWarning', import.meta.filename, WRITE, path];
    await promisify(execFile)(process.execPath, options, { timeout: BUNDLING_MS_MAX });
  }
  return { code: readFileSync(path, 'utf8') };
}

async function write(path: string): Promise<void> {
  const source = join(ROOT, 'workflows', 'index.ts');
  const workflowsPath = existsSync(source) ? source : join(ROOT, 'workflows', 'index.js');
  const quiet = () => {};
  const logger = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };
  const { code } = await bundleWorkflowCode({ workflowsPath, logger });
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, withoutRoot(code), { mode: 0o600 });
  renameSync(partial, path);
}

/** Stack traces in the Temporal UI come from the bundle's source map: it names files within the project only. */
function withoutRoot(code: string): string {
  return code.replace(
    /(sourceMappingURL=data:application\/json;[\w=;-]*base64,)([\w+/=]+)/,
    (_, head: string, map: string) => {
      const json = Buffer.from(map, 'base64')
        .toString('utf8')
        .replaceAll(`${join(ROOT)}/`, '');
      return head + Buffer.from(json).toString('base64');
    },
  );
}

function sourcesHash(): string {
  const hash = createHash('sha256');
  for (const folder of FOLDERS) {
    for (const name of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).sort()) {
      if (/\.[tj]s$/.test(name)) hash.update(name).update(readFileSync(join(ROOT, folder, name)));
    }
  }
  const sdk = fileURLToPath(import.meta.resolve('@temporalio/workflow/package.json'));
  hash.update(readFileSync(import.meta.filename));
  return hash.update(readFileSync(sdk)).digest('hex').slice(0, 16);
}

const [, , action, target] = process.argv;
if (import.meta.main && action === WRITE && target !== undefined) await write(target);
