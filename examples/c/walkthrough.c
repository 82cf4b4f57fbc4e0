/* A first program with Farebox: open a ledger, price a tool, hold money, take it, and look at the balance.
 *
 *     make -C examples/c run
 */
#include <farebox.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every call answers with a status. This program gives up where one is not FAREBOX_OK. */
static void check(const char *what, farebox_status status, const farebox_error *error)
{
    if (status != FAREBOX_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, farebox_status_name(status), error->message);
        exit(1);
    }
}

/* The JSON door has an operation for everything; see docs/operations.md. */
static void call(farebox_engine *engine, const char *operation, const char *json)
{
    farebox_error error = FAREBOX_ERROR_INIT;
    farebox_text out = {NULL, 0};
    check(operation,
          farebox_call(engine, (farebox_str){operation, strlen(operation)}, (farebox_str){json, strlen(json)}, &out, &error),
          &error);
    farebox_text_free(&out);
}

/* Money is a whole number of atomic units: 1 USD is 1,000,000,000 of them. */
static void print_money(const char *what, int64_t units)
{
    printf("%-24s %" PRId64 ".%09" PRId64 " USD\n", what, units / 1000000000, units % 1000000000);
}

int main(void)
{
    farebox_error error = FAREBOX_ERROR_INIT;

    /* "memory:" forgets everything at the end; "sqlite:farebox.db" keeps it in one file. */
    farebox_engine *engine = NULL;
    check("open", farebox_open(&engine, FAREBOX_STR("memory:"), NULL, &error), &error);

    /* Ana pays ten dollars in. A skill says what its tool costs; 70 per cent of that go to its author. */
    call(engine, "account.deposit", "{\"account\": \"user:ana\", \"amount\": \"10.00\", \"asset\": \"USD\"}");
    call(engine, "skill.register",
         "{\"manifest\": {\"id\": \"research\", \"version\": \"1.0.0\", \"owner\": \"user:author\", \"revenue_share\": \"0.70\","
         " \"tools\": [{\"name\": \"research.search\", \"pricing\": {\"cost\": \"0.02\"}}]}}");

    /* What would one call cost? */
    farebox_price_args question = FAREBOX_PRICE_ARGS_INIT;
    question.tool = FAREBOX_STR("research.search");
    farebox_quote quote = FAREBOX_QUOTE_INIT;
    check("price", farebox_price_tool(engine, &question, &quote, &error), &error);
    print_money("a search costs", quote.total);

    /* Before the call: hold the money, so that it cannot be spent twice. The key makes a retry harmless. */
    farebox_reserve_args reservation = FAREBOX_RESERVE_ARGS_INIT;
    reservation.payer = FAREBOX_STR("user:ana");
    reservation.tool = FAREBOX_STR("research.search");
    reservation.idempotency_key = FAREBOX_STR("run-1/call-1");
    farebox_receipt held = FAREBOX_RECEIPT_INIT;
    check("reserve", farebox_reserve(engine, &reservation, &held, &error), &error);
    print_money("held before the call", held.amount);
    print_money("Ana may still spend", held.available);

    /* ... here the tool runs. Had it failed, farebox_release(engine, held.hold, ...) would give the money back ... */

    /* After it: take what was held. The author's and the platform's shares are posted in the same step. */
    farebox_capture_args capture = FAREBOX_CAPTURE_ARGS_INIT;
    capture.hold = held.hold;
    farebox_receipt taken = FAREBOX_RECEIPT_INIT;
    check("capture", farebox_capture(engine, &capture, &taken, &error), &error);
    print_money("captured after the call", taken.amount);

    const farebox_str accounts[] = {FAREBOX_STR("user:ana"), FAREBOX_STR("user:author"), FAREBOX_STR("platform")};
    for (size_t k = 0; k < sizeof accounts / sizeof accounts[0]; k++) {
        farebox_balance_result balance = FAREBOX_BALANCE_RESULT_INIT;
        check("balance", farebox_balance(engine, accounts[k], FAREBOX_STR("USD"), &balance, &error), &error);
        print_money(accounts[k].ptr, balance.balance);
    }

    /* An expected no is a status of its own, and says what stood in the way. */
    farebox_charge_args charge = FAREBOX_CHARGE_ARGS_INIT;
    charge.payer = FAREBOX_STR("user:ana");
    charge.amount = INT64_C(1000) * 1000000000;
    if (farebox_charge(engine, &charge, NULL, &error) == FAREBOX_INSUFFICIENT_FUNDS) {
        printf("%-24s %s\n", "refused", error.message);
    }

    check("close", farebox_close(engine, &error), &error);
    return 0;
}
