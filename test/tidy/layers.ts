/**
 * Which folder may import what: the table of ARCHITECTURE.md, as data. An entry is a folder, a file, or a package;
 * `node` stands for Node's own modules, `packages` for any npm package but Temporal's.
 */
export interface Layer {
  run: readonly string[];
  types: readonly string[];
}

const CONTRACTS = ['sources/source.ts', 'warehouses/warehouse.ts', 'shaper/shaper.ts'];
const STORES = [
  'stores/ledger/ledger.ts',
  'stores/stage/stage.ts',
  'stores/claims/claims.ts',
  'stores/inbox/inbox.ts',
  'stores/cache/cache.ts',
];
const REGISTRIES = ['sources/registry.ts', 'warehouses/registry.ts'];

const LAYERS: Record<string, Layer> = {
  schemas: { run: ['schemas', 'zod'], types: [] },
  mapping: { run: ['mapping', 'schemas', 'rules', 'node', 'packages'], types: [] },
  rules: { run: ['rules'], types: ['schemas'] },
  buckets: { run: ['buckets', 'schemas', 'rules', 'node', 'packages'], types: [] },
  // Sources, warehouses and the shaper quote names alike: the one rule for that lies beside the warehouses.
  shaper: { run: ['shaper', 'schemas', 'rules', 'warehouses/sql.ts', 'node', 'packages'], types: [] },
  sources: { run: ['sources', 'mapping/mapping.ts', 'schemas', 'rules', 'node', 'packages'], types: [] },
  warehouses: { run: ['warehouses', 'buckets', 'schemas', 'rules', 'node', 'packages'], types: [] },
  stores: { run: ['stores', 'buckets', 'schemas', 'rules', 'node', 'packages'], types: [] },
  activities: {
    run: [
      ...CONTRACTS,
      ...STORES,
      'activities',
      'mapping',
      'schemas',
      'rules',
      'node',
      '@temporalio/activity',
    ],
    types: [],
  },
  workflows: {
    run: ['workflows', 'rules', '@temporalio/workflow', '@temporalio/common'],
    types: ['schemas', 'activities'],
  },
  // The one place that puts the parts together, so it may see them all; the program of the workflows goes by path.
  workers: {
    run: [
      ...[
        'workers',
        'activities',
        'config',
        'sources',
        'warehouses',
        'shaper',
        'stores',
        'mapping',
        'schemas',
        'rules',
      ],
      ...['node', 'packages', '@temporalio/worker', '@temporalio/client', '@temporalio/envconfig'],
    ],
    types: [],
  },
  config: {
    run: [...REGISTRIES, 'config', 'mapping', 'schemas', 'rules', 'node', 'packages'],
    types: CONTRACTS,
  },
  cli: {
    run: [
      ...[...REGISTRIES, ...CONTRACTS, 'cli', 'config', 'mapping', 'stores', 'schemas', 'rules'],
      ...['node', 'packages', '@temporalio/client', '@temporalio/common', '@temporalio/envconfig'],
    ],
    types: ['workflows', 'activities'],
  },
  servers: {
    run: [
      ...REGISTRIES,
      ...CONTRACTS,
      'servers',
      'workers/log.ts',
      'config',
      'mapping',
      'stores',
      'schemas',
      'rules',
      'node',
      'packages',
      '@temporalio/client',
      '@temporalio/common',
      '@temporalio/envconfig',
    ],
    types: ['workflows', 'activities'],
  },
  sandbox: { run: ['sandbox', 'node', 'packages'], types: [] },
};

export const LAYER_NAMES = Object.keys(LAYERS);

/** Folders whose subfolders are siblings that never see each other. */
const FAMILIES = ['sources', 'warehouses', 'stores'];

/** Why this import is not allowed, or undefined when it is. */
export function trespass(from: string, target: string, typeOnly: boolean): string | undefined {
  const layer = LAYERS[top(from)];
  if (layer === undefined) return undefined;
  const allowed = typeOnly ? [...layer.run, ...layer.types] : layer.run;
  if (!allowed.some((entry) => covers(entry, target))) return `${top(from)} may not import ${target}`;
  const [family = '', member = '', ...inner] = from.split('/');
  const [targetFamily, targetMember = '', ...targetInner] = target.split('/');
  const isMember = FAMILIES.includes(family) && inner.length > 0;
  if (isMember && family === targetFamily && targetInner.length > 0 && member !== targetMember) {
    return `${family}/${member} may not import its sibling ${targetMember}`;
  }
  return undefined;
}

function top(path: string): string {
  return path.split('/', 1)[0] ?? '';
}

function covers(entry: string, target: string): boolean {
  if (entry === 'node') return target.startsWith('node:');
  if (entry === 'packages') return isPackage(target) && !target.startsWith('@temporalio/');
  return target === entry || target.startsWith(`${entry}/`);
}

function isPackage(target: string): boolean {
  // No path of ours begins so, while `@scope/name/file.js` is a file of a package.
  if (target.startsWith('@')) return true;
  return !target.startsWith('node:') && !/\.(?:ts|js|json)$/.test(target);
}
