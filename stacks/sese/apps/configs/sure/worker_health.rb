# Whether the Sidekiq of this container works: it renews a key in Redis that is gone 60 s after its last sign of life.
# Plain Ruby, without the application: Rails would take seconds and memory at every check.
require "socket"
require "uri"

where = URI(ENV.fetch("REDIS_URL"))
redis = TCPSocket.new(where.host, where.port || 6379)
ask = lambda do |*words|
  redis.write("*#{words.size}\r\n" + words.map { |word| "$#{word.bytesize}\r\n#{word}\r\n" }.join)
  answer = redis.gets.to_s
  abort(answer) if answer.start_with?("-")
  rest = answer[1..].to_i
  case answer[0]
  when "*" then Array.new([rest, 0].max) { redis.read(redis.gets[1..].to_i + 2).chomp }
  when ":" then rest
  else answer
  end
end

ask.call("AUTH", URI.decode_www_form_component(where.password)) if where.password
ask.call("SELECT", where.path.delete("/")) unless where.path.delete("/").empty?
mine = ask.call("SMEMBERS", "processes").select { |it| it.start_with?("#{Socket.gethostname}:") }
abort("no Sidekiq of #{Socket.gethostname} is alive") if mine.none? { |it| ask.call("EXISTS", it) == 1 }
