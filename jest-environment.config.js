import { TestEnvironment } from 'jest-environment-node';

const factor = Math.max(1, Number(process.env['HEADWATER_PATIENCE']) || 1);

/** Tests and hooks that name a time limit of their own get more of it where the machine is slow. */
export default class PatientEnvironment extends TestEnvironment {
  handleTestEvent(event) {
    const one =
      event.name === 'test_start' ? event.test : event.name === 'hook_start' ? event.hook : undefined;
    if (one?.timeout) one.timeout *= factor;
  }
}
