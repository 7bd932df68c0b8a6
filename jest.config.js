const patience = Math.max(1, Number(process.env['HEADWATER_PATIENCE']) || 1);

/** Native ES modules: the code under test is what Node runs, types stripped by swc. */
export default {
  testEnvironment: '<rootDir>/jest-environment.config.js',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' } },
    ],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // Compiled copies and installed tools are not ours to test.
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.cache/'],
  testTimeout: 60_000 * patience,
  maxWorkers: 2,
};
