import { Module } from '@nestjs/common';
import { resolveHost } from './connector.js';
import { EgressService, HOST_RESOLVER } from './egress.service.js';

@Module({
  providers: [EgressService, { provide: HOST_RESOLVER, useValue: resolveHost }],
  exports: [EgressService],
})
export class EgressModule {}
