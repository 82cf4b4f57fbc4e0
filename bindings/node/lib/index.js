'use strict';

/* Farebox: the payment engine that lives inside an agent runtime. index.d.ts says what everything here does. */

const { escapeAccount, unescapeAccount } = require('./accounts');
const { Payment, callId, recordAmount, recordUsage } = require('./context');
const { estimateTokens } = require('./counting');
const { Farebox, describe, setPluginPolicy } = require('./engine');
const {
  FareboxError,
  HandleError,
  HoldError,
  InternalError,
  KeyConflict,
  PayerRefused,
  PaymentRefused,
  PluginError,
  RequestError,
  StateError,
  StoreError,
  WebhookError,
} = require('./errors');
const { Hold } = require('./hold');
const { libraryPath } = require('./library');
const { isFailedResult } = require('./metering');
const { meter, pricing } = require('./pricing');
const { STATUSES } = require('./statuses');
const { Balance, Quote, QuoteLine, Receipt, ToolResult } = require('./values');
const { verifyWebhook } = require('./webhooks');

module.exports = {
  Balance,
  Farebox,
  FareboxError,
  HandleError,
  Hold,
  HoldError,
  InternalError,
  KeyConflict,
  Payment,
  PayerRefused,
  PaymentRefused,
  PluginError,
  Quote,
  QuoteLine,
  Receipt,
  RequestError,
  STATUSES,
  StateError,
  StoreError,
  ToolResult,
  WebhookError,
  callId,
  describe,
  escapeAccount,
  estimateTokens,
  isFailedResult,
  libraryPath,
  meter,
  pricing,
  recordAmount,
  recordUsage,
  setPluginPolicy,
  unescapeAccount,
  verifyWebhook,
};
