export interface PolicyDecision { readonly decisionId: string }
