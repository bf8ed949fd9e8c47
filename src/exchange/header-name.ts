/**
 * Folded name of a header: lower case, each non-alphanumeric `-`. Header names are compared in this form only, because
 * upstreams read `X_User_Id`, `X.User.Id` and `x-user-id` as one name.
 */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-')
}
