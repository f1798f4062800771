import { Module } from '@nestjs/common';
import { resolveHost, resolveInDns } from './connector.js';
import { EgressService, HOST_RESOLVERS } from './egress.service.js';

@Module({
  providers: [
    EgressService,
    { provide: HOST_RESOLVERS, useValue: { provider: resolveHost, webhook: resolveInDns } },
  ],
  exports: [EgressService],
})
export class EgressModule {}
