import { withNameAsOnePart } from './slashed-name.js';

test.each([
  ['/v1/models', '/v1/models'],
  ['/v1/models/', '/v1/models/'],
  ['/v1/models/sim/echo', '/v1/models/sim%2Fecho'],
  ['/v1/models/sim%2Fecho', '/v1/models/sim%2Fecho'],
  ['/v1/models/fireworks/accounts/x%2Fy/', '/v1/models/fireworks%2Faccounts%2Fx%2Fy%2F'],
  ['/v1/models/a/b?c=d/e?f', '/v1/models/a%2Fb?c=d/e?f'],
  ['/v1/models?a=/b', '/v1/models?a=/b'],
  ['/v1/jobs/job_1/cancel', '/v1/jobs/job_1/cancel'],
])('%s is routed as %s', (url, expected) => {
  expect(withNameAsOnePart(url)).toBe(expected);
});
