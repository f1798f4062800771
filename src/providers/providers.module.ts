import { Module } from '@nestjs/common';
import { EgressModule } from '../egress/egress.module.js';
import { ProvidersService } from './providers.service.js';

@Module({
  imports: [EgressModule],
  providers: [ProvidersService],
  exports: [ProvidersService],
})
export class ProvidersModule {}
