import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { configText, WAREHOUSE_KINDS } from '../../../cli/commands/init.ts';
import { loadConfig } from '../../../config/load-config.ts';
import { sources } from '../../../sources/registry.ts';

test.each(Object.keys(sources))('the configuration for %s loads', async (kind) => {
  const home = mkdtempSync(join(tmpdir(), 'headwater-init-'));
  try {
    const path = join(home, 'headwater.config.mjs');
    const functions =
      'const env = (name) => ({ $secret: { env: name } });\nconst defineConfig = (config) => config;';
    writeFileSync(path, configText('acme', path, kind).replace(/^import .*$/m, functions));
    const { config } = await loadConfig({ path, home });
    expect(config.connections['acme']).toMatchObject({ kind, name: 'acme' });
    expect(config.connections['acme']?.objects.length).toBeGreaterThan(2);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

test.each(WAREHOUSE_KINDS)('the configuration with the warehouse %s loads', async (warehouse) => {
  const home = mkdtempSync(join(tmpdir(), 'headwater-init-'));
  try {
    const path = join(home, 'headwater.config.mjs');
    const functions =
      'const env = (name) => ({ $secret: { env: name } });\nconst defineConfig = (config) => config;';
    const text = configText('acme', path, 'push', warehouse);
    writeFileSync(path, text.replace(/^import .*$/m, functions));
    const { config } = await loadConfig({ path, home });
    expect(config.warehouse.kind).toBe(warehouse);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
