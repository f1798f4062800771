import { IsIn, IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';

const ONE_YEAR_S = 31_536_000;

/** What an operator says of a circuit. */
export class CircuitSettingDto {
  /**
   * `open`: no calls. `closed`: calls, whatever comes of them. `auto`: takes either back, forgets what was met, and lets
   * outcomes decide again.
   */
  @IsIn(['open', 'closed', 'auto'], { message: "state must be 'open', 'closed' or 'auto'" })
  state: 'open' | 'closed' | 'auto';

  /** The id of one of the provider's keys. Left out: all of them. */
  @IsOptional()
  @IsString()
  @MaxLength(256)
  key_id?: string;

  /** The model, as `provider/model`. Left out: the key as a whole, for every model. */
  @IsOptional()
  @IsString()
  @MaxLength(256)
  model?: string;

  /** How long `open` or `closed` holds. Left out: until it is taken back. */
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(ONE_YEAR_S)
  for_seconds?: number;
}
