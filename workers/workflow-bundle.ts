import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkflowBundle } from '@temporalio/worker';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
/** Folders whose files can be part of workflow code. */
const FOLDERS = ['workflows', 'rules', 'schemas'];

/**
 * Bundling takes over a second of each start; the result is kept in this folder, which only this user may write, under the hash of
 * every source that can be in it and the SDK's version. A damaged or absent copy is simply made again.
 */
export async function workflowBundle(folder: string): Promise<WorkflowBundle> {
  const path = join(folder, `workflows-${sourcesHash()}.js`);
  if (existsSync(path)) return { code: readFileSync(path, 'utf8') };
  const workflowsPath = join(
    ROOT,
    'workflows',
    existsSync(join(ROOT, 'workflows', 'index.ts')) ? 'index.ts' : 'index.js',
  );
  const bundle = await bundleWorkflowCode({
    workflowsPath,
    logger: { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} },
  });
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, bundle.code, { mode: 0o600 });
  renameSync(partial, path);
  return bundle;
}

function sourcesHash(): string {
  const hash = createHash('sha256');
  for (const folder of FOLDERS) {
    for (const name of readdirSync(join(ROOT, folder)).sort()) {
      if (/\.[tj]s$/.test(name)) hash.update(name).update(readFileSync(join(ROOT, folder, name)));
    }
  }
  const sdk = fileURLToPath(import.meta.resolve('@temporalio/workflow/package.json'));
  return hash.update(readFileSync(sdk)).digest('hex').slice(0, 16);
}
