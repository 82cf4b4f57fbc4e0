/* The addon: what it exports, and the header's layouts for the JavaScript beside it. */
#include <node_api.h>
#include <stddef.h>

#include "calls.h"
#include "job.h"
#include "library.h"
#include "payers.h"
#include "requests.h"

typedef struct constant {
    const char *name;
    size_t value;
} constant;

#define SIZE(type) {"size", sizeof(type)}
#define AT(type, field) {#field, offsetof(type, field)}

static const constant receipt_layout[] = {
    SIZE(farebox_receipt),
    AT(farebox_receipt, status),
    AT(farebox_receipt, flags),
    AT(farebox_receipt, id),
    AT(farebox_receipt, hold),
    AT(farebox_receipt, amount),
    AT(farebox_receipt, hold_remaining),
    AT(farebox_receipt, balance),
    AT(farebox_receipt, available),
    AT(farebox_receipt, time),
    AT(farebox_receipt, price_version),
    AT(farebox_receipt, asset),
    AT(farebox_receipt, shortfall),
    {NULL, 0},
};

static const constant metered_layout[] = {
    SIZE(farebox_metered_call),
    AT(farebox_metered_call, flags),
    AT(farebox_metered_call, scale),
    AT(farebox_metered_call, asset),
    AT(farebox_metered_call, key),
    {NULL, 0},
};

static const constant tally_layout[] = {
    SIZE(farebox_tally),
    {NULL, 0},
};

static const constant begin_layout[] = {
    {"size", BEGIN_SIZE},
    {"texts", BEGIN_TEXTS},
    {"flags", BEGIN_FLAGS},
    {"amount", BEGIN_AMOUNT},
    {"max_cost", BEGIN_MAX_COST},
    {"durability", BEGIN_DURABILITY},
    {"expires_in_ms", BEGIN_EXPIRES_IN_MS},
    {"ordinal", BEGIN_ORDINAL},
    {NULL, 0},
};

static const constant finish_layout[] = {
    {"size", FINISH_SIZE},
    {"texts", FINISH_TEXTS},
    {"flags", FINISH_FLAGS},
    {"ending", FINISH_ENDING},
    {"durability", FINISH_DURABILITY},
    {"amount", FINISH_AMOUNT},
    {"recorded", FINISH_RECORDED},
    {"lines", FINISH_LINES},
    {NULL, 0},
};

static const constant call_line_layout[] = {
    {"size", LINE_SIZE},
    {"texts", LINE_TEXTS},
    {"flags", LINE_FLAGS},
    {"amount", LINE_AMOUNT},
    {"recorded", LINE_RECORDED},
    {NULL, 0},
};

static const constant balance_layout[] = {
    SIZE(farebox_balance_result),
    AT(farebox_balance_result, scale),
    AT(farebox_balance_result, balance),
    AT(farebox_balance_result, held),
    AT(farebox_balance_result, credit_line),
    AT(farebox_balance_result, available),
    AT(farebox_balance_result, asset),
    {NULL, 0},
};

static const constant tick_layout[] = {
    SIZE(farebox_tick_result),
    AT(farebox_tick_result, expired_holds),
    AT(farebox_tick_result, committed),
    AT(farebox_tick_result, sealed),
    {NULL, 0},
};

static const constant quote_layout[] = {
    SIZE(farebox_quote),
    AT(farebox_quote, line_count),
    AT(farebox_quote, capped),
    AT(farebox_quote, total),
    AT(farebox_quote, price_version),
    AT(farebox_quote, asset),
    {NULL, 0},
};

static const constant line_layout[] = {
    SIZE(farebox_quote_line),
    AT(farebox_quote_line, meter),
    AT(farebox_quote_line, tier),
    AT(farebox_quote_line, quantity_micro),
    AT(farebox_quote_line, rate_pico),
    AT(farebox_quote_line, amount),
    {NULL, 0},
};

static const constant row_layout[] = {
    {"size", ROW_SIZE},
    {"texts", ROW_TEXTS},
    {"flags", ROW_FLAGS},
    {"amount", ROW_AMOUNT},
    {"max_cost", ROW_MAX_COST},
    {"usage", ROW_USAGE},
    {"units_micro", ROW_UNITS_MICRO},
    {"durability", ROW_DURABILITY},
    {"expires_in_ms", ROW_EXPIRES_IN_MS},
    {"over_capture", ROW_OVER_CAPTURE},
    {"hold", ROW_HOLD},
    {"at", ROW_AT},
    {NULL, 0},
};

static const constant flags[] = {
    {"TOOL_UNCHARGED", FAREBOX_TOOL_UNCHARGED},
    {"OPEN_EXCLUSIVE", FAREBOX_OPEN_EXCLUSIVE},
    {"OPEN_EXISTING", FAREBOX_OPEN_EXISTING},
    {"AMOUNT_GIVEN", FAREBOX_AMOUNT_GIVEN},
    {"MAX_COST_GIVEN", FAREBOX_MAX_COST_GIVEN},
    {"CAPTURE_PARTIAL", FAREBOX_CAPTURE_PARTIAL},
    {"CAPTURE_AMOUNT", FAREBOX_CAPTURE_AMOUNT},
    {"CAPTURE_USAGE", FAREBOX_CAPTURE_USAGE},
    {"RECEIPT_REPLAYED", FAREBOX_RECEIPT_REPLAYED},
    {"RECEIPT_UNCOMMITTED", FAREBOX_RECEIPT_UNCOMMITTED},
    {"RECEIPT_FINAL", FAREBOX_RECEIPT_FINAL},
    {"RECEIPT_CAPPED", FAREBOX_RECEIPT_CAPPED},
    {"RECEIPT_UNREPORTED", FAREBOX_RECEIPT_UNREPORTED},
    {"RECEIPT_RELEASED", FAREBOX_RECEIPT_RELEASED},
    {"CALL_AMOUNT_GIVEN", FAREBOX_CALL_AMOUNT_GIVEN},
    {"CALL_MAX_COST_GIVEN", FAREBOX_CALL_MAX_COST_GIVEN},
    {"CALL_CHARGE_AFTERWARDS", FAREBOX_CALL_CHARGE_AFTERWARDS},
    {"CALL_RELEASE_UNREPORTED", FAREBOX_CALL_RELEASE_UNREPORTED},
    {"CALL_LINE_AMOUNT", FAREBOX_CALL_LINE_AMOUNT},
    {"FINISH_DELIVERED", FAREBOX_FINISH_DELIVERED},
    {"FINISH_AMOUNT", FAREBOX_FINISH_AMOUNT},
    {"ENDING_RETURNED", FAREBOX_ENDING_RETURNED},
    {"ENDING_REPORTED_FAILURE", FAREBOX_ENDING_REPORTED_FAILURE},
    {"ENDING_FAILED", FAREBOX_ENDING_FAILED},
    {"ENDING_LEFT", FAREBOX_ENDING_LEFT},
    {"RECEIPT_REFUSAL", FAREBOX_RECEIPT_REFUSAL},
    {"VERSION_NUMBER", FAREBOX_VERSION_NUMBER},
    {NULL, 0},
};

static bool export_constants(napi_env env, napi_value exports, const char *name, const constant *constants)
{
    napi_value object, value;
    if (napi_create_object(env, &object) != napi_ok) {
        return false;
    }
    for (const constant *each = constants; each->name != NULL; each++) {
        if (napi_create_uint32(env, (uint32_t)each->value, &value) != napi_ok
            || napi_set_named_property(env, object, each->name, value) != napi_ok) {
            return false;
        }
    }
    return napi_set_named_property(env, exports, name, object) == napi_ok;
}

NAPI_MODULE_INIT()
{
    napi_value load;
    if (!engines_close_at_end(env)
        || napi_create_function(env, "load", NAPI_AUTO_LENGTH, library_load, NULL, &load) != napi_ok
        || napi_set_named_property(env, exports, "load", load) != napi_ok || !calls_export(env, exports)
        || !charges_export(env, exports) || !metered_export(env, exports) || !webhooks_export(env, exports)
        || !plugins_export(env, exports) || !functions_export(env, exports)
        || !payers_export(env, exports)
        || !export_constants(env, exports, "receipt", receipt_layout)
        || !export_constants(env, exports, "meteredCall", metered_layout)
        || !export_constants(env, exports, "tally", tally_layout)
        || !export_constants(env, exports, "beginRow", begin_layout)
        || !export_constants(env, exports, "finishRow", finish_layout)
        || !export_constants(env, exports, "lineRow", call_line_layout)
        || !export_constants(env, exports, "balanceResult", balance_layout)
        || !export_constants(env, exports, "tickResult", tick_layout)
        || !export_constants(env, exports, "quote", quote_layout)
        || !export_constants(env, exports, "quoteLine", line_layout)
        || !export_constants(env, exports, "row", row_layout) || !export_constants(env, exports, "flags", flags)) {
        napi_throw_error(env, NULL, "The addon of Farebox cannot be initialized.");
        return NULL;
    }
    return exports;
}
