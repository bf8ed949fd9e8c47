/** The whole schema. docs/graphql.md has it too. */
export const SDL = `"""Whether a username can be had, and the user who asks."""
type Query {
  """Whether anybody could have it now. A unit of the budget for each."""
  checkUsernameAvailability(username: String!): UsernameAvailability!

  """The user of the token or the cookie. Null without one."""
  me: User
}

type Mutation {
  """Changes all that is named, or nothing. Needs a user."""
  updateProfile(input: UpdateProfileInput!): User!
}

type User {
  id: ID!
  username: String
  displayName: String
  email: String!
}

"""What is left out stays as it is."""
input UpdateProfileInput {
  username: String

  """Null takes it away."""
  displayName: String

  """Of a hold of the username."""
  holdTicket: String
}

type UsernameAvailability {
  available: Boolean!
  username: String!

  """invalid, reserved, taken or held; null where it is available."""
  reason: String

  """Usernames like it that are free."""
  suggestions: [String!]!
}
`
