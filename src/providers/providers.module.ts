import { Module } from '@nestjs/common';
import { EgressModule } from '../egress/egress.module.js';
import { AnswerChecker } from './answer-check.js';
import { ProvidersService } from './providers.service.js';

@Module({
  imports: [EgressModule],
  providers: [AnswerChecker, ProvidersService],
  exports: [AnswerChecker, ProvidersService],
})
export class ProvidersModule {}
