import { expect, test } from '@jest/globals';
import { completed, leftOut } from '../../../scripts/complete-lock.ts';

const lock = {
  packages: {
    '': { name: 'x' },
    'node_modules/tool': {
      version: '1.2.3',
      dev: true,
      optionalDependencies: {
        '@tool/linux-x64-musl': '1.2.3',
        '@tool/binding-win32-arm64-msvc': '1.2.3',
        'tool-darwin-arm64': '1.2.3',
      },
    },
    'node_modules/tool-darwin-arm64': { version: '1.2.3', integrity: 'sha512-kept' },
  },
};

test('an optional binary that the lock file leaves out gets an entry that npm skips elsewhere', () => {
  expect(leftOut(lock)).toEqual(['@tool/linux-x64-musl', '@tool/binding-win32-arm64-msvc']);
  expect(completed(lock).packages).toMatchObject({
    'node_modules/@tool/linux-x64-musl': {
      version: '1.2.3',
      os: ['linux'],
      cpu: ['x64'],
      libc: ['musl'],
      dev: true,
      optional: true,
    },
    'node_modules/@tool/binding-win32-arm64-msvc': { os: ['win32'], cpu: ['arm64'], optional: true },
    'node_modules/tool-darwin-arm64': { version: '1.2.3', integrity: 'sha512-kept' },
  });
});

test('completing twice changes nothing', () => {
  const once = completed(lock);
  expect(leftOut(once)).toEqual([]);
  expect(completed(once)).toEqual(once);
});

test('a name that tells no platform is not guessed at', () => {
  const odd = { packages: { 'node_modules/a': { optionalDependencies: { fsevents: '^2.3.3' } } } };
  expect(() => completed(odd)).toThrow('fsevents@^2.3.3');
});
