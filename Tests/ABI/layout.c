/* Prints the size of every struct of the header and the place of every field as JSON, for other languages to compare with. */
#include <farebox.h>

#include <stdio.h>

#define STRUCT(TYPE)                                                                                                   \
    printf("%s\n  \"" #TYPE "\": {\"size\": %zu, \"alignment\": %zu, \"fields\": {", separator, sizeof(TYPE),            \
           _Alignof(TYPE));                                                                                            \
    separator = ",";                                                                                                   \
    between = ""
#define FIELD(TYPE, NAME)                                                                                              \
    printf("%s\"" #NAME "\": {\"offset\": %zu, \"size\": %zu}", between, offsetof(TYPE, NAME),                         \
           sizeof(((TYPE *)0)->NAME));                                                                                 \
    between = ", "
#define END printf("}}")

int main(void)
{
    const char *separator = "";
    const char *between = "";
    printf("{");
    STRUCT(farebox_str);
    FIELD(farebox_str, ptr);
    FIELD(farebox_str, len);
    END;
    STRUCT(farebox_text);
    FIELD(farebox_text, ptr);
    FIELD(farebox_text, len);
    END;
    STRUCT(farebox_error);
    FIELD(farebox_error, struct_size);
    FIELD(farebox_error, status);
    FIELD(farebox_error, retryable);
    FIELD(farebox_error, details_len);
    FIELD(farebox_error, field);
    FIELD(farebox_error, message);
    FIELD(farebox_error, details);
    END;
    STRUCT(farebox_options);
    FIELD(farebox_options, struct_size);
    FIELD(farebox_options, flags);
    FIELD(farebox_options, durability);
    FIELD(farebox_options, hold_durability);
    FIELD(farebox_options, key_memory_bytes);
    FIELD(farebox_options, busy_timeout_ms);
    FIELD(farebox_options, relaxed_records);
    FIELD(farebox_options, relaxed_ms);
    FIELD(farebox_options, reserved0);
    FIELD(farebox_options, clock);
    FIELD(farebox_options, clock_context);
    FIELD(farebox_options, reserved);
    END;
    STRUCT(farebox_tick_result);
    FIELD(farebox_tick_result, struct_size);
    FIELD(farebox_tick_result, expired_holds);
    FIELD(farebox_tick_result, committed);
    FIELD(farebox_tick_result, sealed);
    END;
    STRUCT(farebox_usage);
    FIELD(farebox_usage, requests);
    FIELD(farebox_usage, units);
    FIELD(farebox_usage, input_tokens);
    FIELD(farebox_usage, output_tokens);
    FIELD(farebox_usage, cache_read_tokens);
    FIELD(farebox_usage, cache_write_tokens);
    FIELD(farebox_usage, reasoning_tokens);
    FIELD(farebox_usage, input_audio_tokens);
    FIELD(farebox_usage, output_audio_tokens);
    FIELD(farebox_usage, images);
    FIELD(farebox_usage, value);
    FIELD(farebox_usage, reserved_meters);
    FIELD(farebox_usage, units_micro);
    FIELD(farebox_usage, reserved);
    END;
    STRUCT(farebox_price_args);
    FIELD(farebox_price_args, struct_size);
    FIELD(farebox_price_args, flags);
    FIELD(farebox_price_args, tool);
    FIELD(farebox_price_args, customer);
    FIELD(farebox_price_args, usage);
    FIELD(farebox_price_args, max_cost);
    FIELD(farebox_price_args, at);
    FIELD(farebox_price_args, reserved);
    END;
    STRUCT(farebox_quote_line);
    FIELD(farebox_quote_line, meter);
    FIELD(farebox_quote_line, tier);
    FIELD(farebox_quote_line, quantity_micro);
    FIELD(farebox_quote_line, rate_pico);
    FIELD(farebox_quote_line, amount);
    END;
    STRUCT(farebox_quote);
    FIELD(farebox_quote, struct_size);
    FIELD(farebox_quote, line_count);
    FIELD(farebox_quote, lines);
    FIELD(farebox_quote, line_capacity);
    FIELD(farebox_quote, capped);
    FIELD(farebox_quote, total);
    FIELD(farebox_quote, price_version);
    FIELD(farebox_quote, asset);
    FIELD(farebox_quote, reserved);
    END;
    STRUCT(farebox_charge_args);
    FIELD(farebox_charge_args, struct_size);
    FIELD(farebox_charge_args, flags);
    FIELD(farebox_charge_args, payer);
    FIELD(farebox_charge_args, tool);
    FIELD(farebox_charge_args, payee);
    FIELD(farebox_charge_args, asset);
    FIELD(farebox_charge_args, idempotency_key);
    FIELD(farebox_charge_args, run);
    FIELD(farebox_charge_args, call);
    FIELD(farebox_charge_args, description);
    FIELD(farebox_charge_args, metadata);
    FIELD(farebox_charge_args, amount);
    FIELD(farebox_charge_args, max_cost);
    FIELD(farebox_charge_args, usage);
    FIELD(farebox_charge_args, durability);
    FIELD(farebox_charge_args, reserved);
    END;
    STRUCT(farebox_receipt);
    FIELD(farebox_receipt, struct_size);
    FIELD(farebox_receipt, status);
    FIELD(farebox_receipt, flags);
    FIELD(farebox_receipt, reserved0);
    FIELD(farebox_receipt, id);
    FIELD(farebox_receipt, hold);
    FIELD(farebox_receipt, amount);
    FIELD(farebox_receipt, hold_remaining);
    FIELD(farebox_receipt, balance);
    FIELD(farebox_receipt, available);
    FIELD(farebox_receipt, time);
    FIELD(farebox_receipt, price_version);
    FIELD(farebox_receipt, asset);
    FIELD(farebox_receipt, reserved);
    END;
    STRUCT(farebox_reserve_args);
    FIELD(farebox_reserve_args, struct_size);
    FIELD(farebox_reserve_args, flags);
    FIELD(farebox_reserve_args, payer);
    FIELD(farebox_reserve_args, tool);
    FIELD(farebox_reserve_args, payee);
    FIELD(farebox_reserve_args, asset);
    FIELD(farebox_reserve_args, idempotency_key);
    FIELD(farebox_reserve_args, run);
    FIELD(farebox_reserve_args, call);
    FIELD(farebox_reserve_args, description);
    FIELD(farebox_reserve_args, metadata);
    FIELD(farebox_reserve_args, amount);
    FIELD(farebox_reserve_args, max_cost);
    FIELD(farebox_reserve_args, usage);
    FIELD(farebox_reserve_args, expires_in_ms);
    FIELD(farebox_reserve_args, over_capture);
    FIELD(farebox_reserve_args, durability);
    FIELD(farebox_reserve_args, reserved);
    END;
    STRUCT(farebox_capture_args);
    FIELD(farebox_capture_args, struct_size);
    FIELD(farebox_capture_args, flags);
    FIELD(farebox_capture_args, hold);
    FIELD(farebox_capture_args, idempotency_key);
    FIELD(farebox_capture_args, description);
    FIELD(farebox_capture_args, metadata);
    FIELD(farebox_capture_args, amount);
    FIELD(farebox_capture_args, usage);
    FIELD(farebox_capture_args, durability);
    FIELD(farebox_capture_args, reserved);
    END;
    STRUCT(farebox_balance_result);
    FIELD(farebox_balance_result, struct_size);
    FIELD(farebox_balance_result, scale);
    FIELD(farebox_balance_result, balance);
    FIELD(farebox_balance_result, held);
    FIELD(farebox_balance_result, credit_line);
    FIELD(farebox_balance_result, available);
    FIELD(farebox_balance_result, asset);
    FIELD(farebox_balance_result, reserved);
    END;
    STRUCT(farebox_webhook_args);
    FIELD(farebox_webhook_args, struct_size);
    FIELD(farebox_webhook_args, scheme);
    FIELD(farebox_webhook_args, body);
    FIELD(farebox_webhook_args, signature);
    FIELD(farebox_webhook_args, id);
    FIELD(farebox_webhook_args, timestamp);
    FIELD(farebox_webhook_args, secrets);
    FIELD(farebox_webhook_args, secret_count);
    FIELD(farebox_webhook_args, tolerance_s);
    FIELD(farebox_webhook_args, now);
    FIELD(farebox_webhook_args, reserved);
    END;
    printf("\n}\n");
    return 0;
}
