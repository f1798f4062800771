import { Module } from '@nestjs/common';
import { ProvidersModule } from '../providers/providers.module.js';
import { NamedModelsService } from './named-models.service.js';
import { PoliciesController } from './policies.controller.js';
import { PoliciesRepository } from './policies.repository.js';
import { PoliciesService } from './policies.service.js';
import { PolicyLabController } from './policy-lab.controller.js';
import { PolicyLabService } from './policy-lab.service.js';

@Module({
  imports: [ProvidersModule],
  controllers: [PoliciesController, PolicyLabController],
  providers: [NamedModelsService, PoliciesService, PoliciesRepository, PolicyLabService],
  exports: [NamedModelsService, PoliciesService],
})
export class PoliciesModule {}
