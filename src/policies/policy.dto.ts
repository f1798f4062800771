import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsNumber,
  IsObject,
  IsOptional,
  IsString,
  Max,
  MaxLength,
  Min,
  MinLength,
  registerDecorator,
  ValidateNested,
} from 'class-validator';
import { FAILURE_CLASSES, type FailureClass, RULE_DECISIONS, type RuleDecision } from '../routing/failure.js';
import { STRATEGIES, type Strategy } from '../routing/plan.js';

const ONE_DAY_MS = 86_400_000;
/** How many models a chain may have, as written and once its policies are laid out. */
export const MOST_STEPS = 50;
const LARGEST_WEIGHT = 1_000_000;

/** OpenAI's reasons for which an answer stops: a slip in one would make every answer a failure. */
export const FINISH_REASONS = ['stop', 'length', 'tool_calls', 'content_filter', 'function_call'] as const;
export type FinishReason = (typeof FINISH_REASONS)[number];

/** One model of a policy, or another policy whose steps stand here. */
export class PolicyStepDto {
  /** `provider/model`, or `policy/name` to lay that policy's steps in here. */
  @IsString()
  @MaxLength(256)
  model: string;

  /** How many times this model is tried again after a failure that can heal, before the next model. Default 0. */
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(10)
  retries?: number;

  /** The hard wall of one call in milliseconds. Default 300000. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(ONE_DAY_MS)
  timeout_ms?: number;

  /** How long a job may wait for this model (a limit, a Retry-After, an open circuit) before it goes on, in milliseconds. Default 0. */
  @IsOptional()
  @IsInt()
  @Min(0)
  @Max(7 * ONE_DAY_MS)
  patience_ms?: number;

  /** Its share among the steps, for the strategy `weighted`; the shares need not add up to anything. Default 1. */
  @IsOptional()
  @IsNumber()
  @Min(0)
  @Max(LARGEST_WEIGHT)
  weight?: number;

  /** Fields laid over the top level of the request for this model. */
  @IsOptional()
  @IsObject()
  overrides?: Record<string, unknown>;
}

/** What a policy asks of an answer; one that fails it is a failure, and the chain goes on. */
export class PolicyExpectDto {
  /** The answer's text must be JSON. Default false. */
  @IsOptional()
  @IsBoolean()
  json?: boolean;

  /** The answer must match the JSON schema that the request carries in `response_format`. Default false. */
  @IsOptional()
  @IsBoolean()
  json_schema?: boolean;

  /** The reasons for stopping that will do. Default: any. */
  @IsOptional()
  @IsArray()
  @ArrayMinSize(1)
  @IsIn(FINISH_REASONS, { each: true })
  finish_reason?: FinishReason[];

  /** There must be text or a tool call. Default false. */
  @IsOptional()
  @IsBoolean()
  not_empty?: boolean;

  /** The least number of characters of text. Default: any. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  min_length?: number;

  /** A regular expression (RE2, at most 1000 characters) that must be found in the text. Default: none. */
  @IsOptional()
  @IsString()
  @MinLength(1)
  pattern?: string;
}

/** A fallback policy as it is written by its owner. */
export class PolicyDto {
  /** May be repeated here; it must be the name in the path. */
  @IsOptional()
  @IsString()
  name?: string;

  @IsOptional()
  @IsString()
  @MaxLength(1024)
  description?: string;

  /** In which order the steps are tried: as written, drawn by weight, the fastest or the cheapest first. Default `fallback`. */
  @IsOptional()
  @IsIn(STRATEGIES)
  strategy?: Strategy;

  /** For `weighted`: the metadata key whose value keeps choosing the same step; null to draw for each job. Default `user_id`. */
  @IsOptional()
  @IsString()
  @MinLength(1)
  @MaxLength(64)
  sticky_by?: string | null;

  /** The chain, first to last. */
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MOST_STEPS)
  @IsObject({ each: true })
  @ValidateNested({ each: true })
  @Type(() => PolicyStepDto)
  steps: PolicyStepDto[];

  /** What to do on a class of failure, over the defaults: `{"timeout": "next"}`. */
  @IsOptional()
  @IsRules()
  on?: Partial<Record<FailureClass, RuleDecision>>;

  /** What is asked of an answer. Default: that it is one. */
  @IsOptional()
  @IsObject()
  @ValidateNested()
  @Type(() => PolicyExpectDto)
  expect?: PolicyExpectDto;

  /** How often the whole chain is tried before the job fails. Default 3. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(100)
  rounds?: number;

  /** How many calls one job may make in all. Default 10, or the number of models if that is more. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(1000)
  max_attempts?: number;
}

/** An object of failure class to decision; the message names the key that is wrong and what would be right. */
function IsRules(): PropertyDecorator {
  return (target, property) => {
    registerDecorator({
      name: 'isRules',
      target: target.constructor,
      propertyName: String(property),
      validator: {
        validate: (value) => problemOfRules(value) === null,
        defaultMessage: (args) => `${args?.property ?? 'on'} ${problemOfRules(args?.value) ?? 'is wrong'}`,
      },
    });
  };
}

function problemOfRules(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'must be an object of failure class to decision, such as {"timeout": "next"}';
  }
  for (const [key, decision] of Object.entries(value)) {
    if (!(FAILURE_CLASSES as readonly string[]).includes(key)) {
      return `has the unknown class '${key.slice(0, 64)}'. The classes are: ${FAILURE_CLASSES.join(', ')}`;
    }
    if (!(RULE_DECISIONS as readonly unknown[]).includes(decision)) {
      return `says ${JSON.stringify(decision).slice(0, 64)} for ${key}. It must be one of: ${RULE_DECISIONS.join(', ')}`;
    }
  }
  return null;
}
