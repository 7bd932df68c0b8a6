/**
 * Names the optional binaries of every platform in package-lock.json: `npm run lock`, after each `npm install <package>`.
 * npm leaves out those that a registry did not have, and then `npm ci` refuses the lock file on the next machine.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface LockedPackage {
  version?: string;
  optionalDependencies?: Record<string, string>;
  [more: string]: unknown;
}

interface Lock {
  packages: Record<string, LockedPackage>;
}

export const LOCK_FILE = join(dirname(fileURLToPath(import.meta.url)), '..', 'package-lock.json');

const SYSTEMS = 'aix android darwin freebsd linux netbsd openbsd openharmony sunos win32'.split(' ');
const PROCESSORS = 'arm arm64 ia32 loong64 mips64el ppc64 riscv64 s390x wasm32 x64'.split(' ');

/** A copy with an entry for each optional package that has none; its name tells system and processor. */
export function completed(lock: Lock): Lock {
  const packages = { ...lock.packages };
  for (const owner of Object.values(lock.packages)) {
    for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
      if (missing(packages, name)) packages[`node_modules/${name}`] = entry(owner, name, version);
    }
  }
  const sorted = Object.entries(packages).toSorted(([a], [b]) => a.localeCompare(b, 'en'));
  return { ...lock, packages: Object.fromEntries(sorted) };
}

/** The names of the optional packages that the lock file leaves out. */
export function leftOut(lock: Lock): string[] {
  return Object.values(lock.packages)
    .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    .filter((name) => missing(lock.packages, name));
}

function missing(packages: Lock['packages'], name: string): boolean {
  return !Object.keys(packages).some((path) => path.endsWith(`node_modules/${name}`));
}

function entry(owner: LockedPackage, name: string, version: string): LockedPackage {
  const words = name.split(/[-/.]/);
  const system = words.find((word) => SYSTEMS.includes(word));
  const processor = words.find((word) => PROCESSORS.includes(word));
  if (!/^\d+\.\d+\.\d+/.test(version) || (system === undefined && processor === undefined)) {
    throw new Error(`${name}@${version}: no exact version of one platform; add it by hand`);
  }
  const libc = words.includes('musl') ? 'musl' : words.includes('gnu') ? 'glibc' : undefined;
  return {
    version,
    ...(processor === undefined ? {} : { cpu: [processor] }),
    ...(owner['dev'] === true ? { dev: true } : {}),
    optional: true,
    ...(system === undefined ? {} : { os: [system] }),
    ...(system === 'linux' && libc !== undefined ? { libc: [libc] } : {}),
  };
}

export function readLock(): Lock {
  return JSON.parse(readFileSync(LOCK_FILE, 'utf8'));
}

if (import.meta.main) writeFileSync(LOCK_FILE, `${JSON.stringify(completed(readLock()), null, 2)}\n`);
